package smsgate_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestConformance(t *testing.T) {
	for name, kind := range map[string]gatewaytest.Kind{"private": gatewaytest.Private, "phone": gatewaytest.OnPhone} {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Harness{
				Address: channel.Phone, ProviderIDs: true, Idempotent: true,
				// The suite's own number is of no mobile phone network.
				Message: func(id string) *channel.Message {
					m := channeltest.Message(channel.Phone, id)
					m.To.Phone = ann
					return m
				},
				New: func(t testing.TB) channeltest.Subject { return newSubject(t, kind) },
			})
		})
	}
}

func newSubject(t testing.TB, kind gatewaytest.Kind) channeltest.Subject {
	s, _ := newGateServer(t, gatewaytest.Config{Kind: kind})
	submission := gatewaytest.Rule{Method: http.MethodPost, Path: "/messages"}
	return channeltest.Subject{
		Channel:  newGate(t, s, smsgate.Config{Receipt: newLedger().receipt}),
		Accepted: func() int { return len(s.Messages()) },
		Refuse: func(class channel.Class) bool {
			rule := submission
			switch class {
			case channel.Unknown:
				rule.Action, rule.Served, rule.Method = gatewaytest.Disconnect, true, "" // nor can it be asked
			case channel.Temporary:
				rule.Status, rule.Body = 408, "Request Timeout"
			case channel.Throttled:
				rule.Status, rule.Body = 503, `{"message":"queue limits exceeded: too many pending messages"}`
			case channel.Unreachable:
				rule.Status, rule.Body = 400, `{"message":"failed to use phone in row 1: not mobile phone number"}`
			case channel.InvalidRecipient:
				rule.Status, rule.Body = 400, `{"message":"failed to use phone in row 1: invalid phone number"}`
			case channel.Misconfigured:
				rule.Status, rule.Body = 403, `{"message":"scope required: messages:send"}`
			default:
				return false
			}
			s.Script(rule)
			return true
		},
		Codes: map[channel.Class]string{channel.Throttled: "503", channel.Unreachable: "400"},
		RetryAfter: func(wait time.Duration) {
			rule := submission
			rule.Status, rule.Header = 429, http.Header{"Retry-After": {strconv.Itoa(int(wait.Seconds()))}}
			s.Script(rule)
		},
		Secrets: []string{gatePassword},
		Stall: func() func() {
			rule := submission
			rule.Action, rule.Served = gatewaytest.Stall, true
			s.Script(rule)
			return s.ClearScript
		},
	}
}
