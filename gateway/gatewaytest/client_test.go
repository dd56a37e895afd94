package gatewaytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

// A client calls the API.
type client struct {
	*testing.T
	srv    *gatewaytest.Server
	bearer string // instead of Basic
}

func newClient(t *testing.T, srv *gatewaytest.Server) *client {
	t.Cleanup(srv.Close)
	return &client{T: t, srv: srv}
}

// An answer is a response, read.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any // of a JSON object
	list   []map[string]any
}

func (c *client) try(method, path, body string) (answer, error) {
	r, err := http.NewRequestWithContext(c.Context(), method, c.srv.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	r.SetBasicAuth("user", secret)
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	res, err := c.srv.Client().Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header, text: string(b)}
	_ = json.Unmarshal(b, &a.body)
	_ = json.Unmarshal(b, &a.list)
	return a, nil
}

func (c *client) call(method, path, body string, want int) answer {
	c.Helper()
	a, err := c.try(method, path, body)
	if err != nil {
		c.Fatalf("%s %s: %v", method, path, err)
	}
	if a.status != want {
		c.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, want, a.text)
	}
	return a
}

func (c *client) send(id, rest string, want int) answer {
	c.Helper()
	return c.call("POST", "/messages",
		`{"id":"`+id+`","textMessage":{"text":"123456 is your code"},"phoneNumbers":["`+ann+`"]`+rest+`}`, want)
}

func (c *client) state(id string) string {
	c.Helper()
	return c.call("GET", "/messages/"+id, "", 200).body["state"].(string)
}
