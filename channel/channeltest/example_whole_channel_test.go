package channeltest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// An ownChannel is a whole channel.Channel: it sends an SMS by the HTTP API of a provider.
type ownChannel struct {
	url    string // of the provider
	key    string // the credential
	client *http.Client
	life   *transport.Lifecycle // admits calls until Close
}

var _ channel.Channel = (*ownChannel)(nil)

// answerTime is how long the provider may take.
const answerTime = 10 * time.Second

var (
	errClosed  = errors.New("the channel is closed")
	errExpired = errors.New("the code has expired")
)

func newOwnChannel(url, key string) *ownChannel {
	client := &http.Client{
		Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &ownChannel{url, key, client, transport.NewLifecycle(errClosed, errExpired)}
}

// Send validates, looks at the end of the code's life and of the channel, and makes one request.
func (c *ownChannel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	to := channel.Recipient{Phone: m.To.Phone} // not the addresses of other channels
	if err := to.Validate(); err != nil {
		return failed(err)
	}
	if !c.life.Begin() {
		return failed(fault(channel.Temporary, errClosed))
	}
	defer c.life.End()
	now := time.Now()
	if !m.Expires.IsZero() && !now.Before(m.Expires) {
		return failed(fault(channel.Expired, errExpired))
	}
	if err := ctx.Err(); err != nil {
		return failed(fault(channel.Temporary, err)) // nothing was sent
	}
	ctx, cancel := c.life.Bound(ctx, now.Add(answerTime), m.Expires) // ends with the code's life and with Close, too
	defer cancel()
	id, err := c.post(ctx, m)
	if err != nil {
		return failed(err)
	}
	return channel.Submission{ProviderIDs: []string{id}, State: channel.Sent}, nil
}

// post makes the request. The provider knows the message by its ID: a repeated request is the
// same message.
func (c *ownChannel) post(ctx context.Context, m *channel.Message) (id string, err error) {
	body, err := json.Marshal(map[string]string{"to": m.To.Phone, "text": m.Text})
	if err != nil {
		return "", fault(channel.Misconfigured, errors.New("the message is no JSON"))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return "", fault(channel.Misconfigured, errors.New("the URL is malformed"))
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Idempotency-Key", m.ID)
	answer, err := c.client.Do(request)
	if err != nil {
		return "", unanswered(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusAccepted {
		return "", refused(answer, m.Redact(string(text)))
	}
	var accepted struct{ ID string }
	if err != nil || json.Unmarshal(text, &accepted) != nil || accepted.ID == "" {
		return "", fault(channel.Unknown, errors.New("the answer has no id"))
	}
	return accepted.ID, nil
}

// unanswered is the error of a request without an answer. Only if there was no connection, the
// message was surely not sent.
func unanswered(ctx context.Context, err error) error {
	if ended := context.Cause(ctx); ended != nil {
		return fault(channel.Unknown, ended)
	}
	if dial := new(net.OpError); errors.As(err, &dial) && dial.Op == "dial" {
		return fault(channel.Temporary, errors.New("no connection"))
	}
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL
	}
	return fault(channel.Unknown, err)
}

// classes has the provider's statuses. Another status, such as 500, is of class Unknown: the
// message may have been sent.
var classes = map[int]channel.Class{
	http.StatusBadRequest:         channel.InvalidRecipient,
	http.StatusUnauthorized:       channel.Misconfigured,
	http.StatusNotFound:           channel.Unreachable,
	http.StatusTooManyRequests:    channel.Throttled,
	http.StatusServiceUnavailable: channel.Temporary,
}

// refused is the error of an answer other than 202.
func refused(answer *http.Response, text string) error {
	e := fault(classes[answer.StatusCode], errors.New(text))
	e.Code = strconv.Itoa(answer.StatusCode)
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(min(max(seconds, 0), 3600)) * time.Second
	}
	return e
}

func fault(class channel.Class, cause error) *channel.Error {
	return &channel.Error{Class: class, Op: "own: send", Err: cause}
}

func failed(err error) (channel.Submission, error) {
	return channel.Submission{State: channel.Failed}, err
}

// Close refuses further messages, and ends those under way.
func (c *ownChannel) Close() error {
	c.life.CutOff()
	<-c.life.Idle()
	c.client.CloseIdleConnections()
	return nil
}

// A channel of one's own, to be copied. TestOwnChannel runs the suite on it.
func Example_wholeChannel() {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"id":"m-1"}`))
	}))
	defer provider.Close()
	c := newOwnChannel(provider.URL, "secret-key")
	defer func() { _ = c.Close() }()

	m := &channel.Message{ID: "k3v9.1", To: channel.Recipient{Phone: "+447700900123"}, Text: "482913 is your code."}
	s, err := c.Send(context.Background(), m)
	fmt.Println(s.State, s.ProviderIDs, err)
	m.To = channel.Recipient{Email: "ann@example.com"}
	s, err = c.Send(context.Background(), m)
	fmt.Println(s.State, s.ProviderIDs, err)
	// Output:
	// sent [m-1] <nil>
	// failed [] channel: recipient: invalid recipient: no address
}
