package gatewaytest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// webhook is a registered webhook.
type webhook struct {
	ID       string  `json:"id"`
	DeviceID *string `json:"deviceId"`
	URL      string  `json:"url"`
	Event    string  `json:"event"`
}

var events = []string{
	"sms:received", "sms:data-received", "sms:sent", "sms:delivered", "sms:failed", "system:ping", "mms:received",
	"mms:downloaded",
}

// listWebhooks serves GET /webhooks. s.mu is held.
func (s *Server) listWebhooks(*call) reply {
	return reply{status: http.StatusOK, body: append([]webhook{}, s.webhooks...)}
}

// putWebhook serves POST /webhooks, which replaces a webhook with the same id.
// s.mu is held.
func (s *Server) putWebhook(c *call) reply {
	var h webhook
	if err := json.Unmarshal(c.body, &h); err != nil {
		return refuse(http.StatusBadRequest, "failed to parse body: "+err.Error())
	}
	u, err := url.Parse(h.URL)
	local := err == nil && s.config.Kind == OnPhone && u.Hostname() == "127.0.0.1"
	switch {
	case err != nil || u.Host == "" || len(h.ID) > 36:
		return refuse(http.StatusBadRequest, "failed to validate: url must be a URL and id at most 36 characters")
	case !slices.Contains(events, h.Event):
		return refuse(http.StatusBadRequest, "failed to validate: invalid event type")
	case !strings.EqualFold(u.Scheme, "https") && !local:
		return refuse(http.StatusBadRequest, "failed to validate: url must start with https://")
	case h.DeviceID != nil && !slices.ContainsFunc(s.phones, func(p *Phone) bool { return p.config.ID == *h.DeviceID }):
		return refuse(http.StatusBadRequest, "invalid \"device_id\": record not found")
	}
	if h.ID == "" {
		h.ID = s.newID()
	}
	s.webhooks = slices.DeleteFunc(s.webhooks, func(old webhook) bool { return old.ID == h.ID })
	s.webhooks = append(s.webhooks, h)
	return reply{status: http.StatusCreated, body: h}
}

// deleteWebhook serves DELETE /webhooks/{id}, also for an unknown id. s.mu is
// held.
func (s *Server) deleteWebhook(c *call) reply {
	s.webhooks = slices.DeleteFunc(s.webhooks, func(old webhook) bool { return old.ID == c.id })
	return reply{status: http.StatusNoContent}
}

// listDevices serves GET /devices. s.mu is held.
func (s *Server) listDevices(*call) reply {
	now := time.Now()
	all := []map[string]any{}
	for _, p := range s.phones {
		d := map[string]any{
			"id": p.config.ID, "name": p.config.Name, "createdAt": p.added, "updatedAt": p.lastSeen(now),
			"lastSeen": p.lastSeen(now),
		}
		var cards []map[string]any
		for i, number := range p.config.SIMs {
			card := map[string]any{"slotIndex": i, "simNumber": i + 1}
			if number != "" {
				card["phoneNumber"] = number
			}
			cards = append(cards, card)
		}
		if cards != nil {
			d["simCards"] = cards
		}
		all = append(all, d)
	}
	return reply{status: http.StatusOK, body: all}
}
