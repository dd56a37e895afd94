package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A push is a channel of one's own: it shows codes in the bank's app by way of a
// push provider's HTTP API. It needs nothing of this library but package channel.
type push struct {
	url     string // of the provider's API
	token   string // the provider's, for the Authorization header
	key     []byte // by which the provider signs its webhooks
	client  *http.Client
	receipt channel.ReceiptFunc
}

var _ channel.Channel = (*push)(nil)

// Send asks the provider to show the message. Its class of error says above all
// whether the person may have the message.
func (p *push) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	failed := channel.Submission{State: channel.Failed}
	if !m.Expires.IsZero() && !time.Now().Before(m.Expires) {
		return failed, fault(channel.Expired, "", errors.New("the code has expired"))
	}
	if err := (channel.Recipient{Push: m.To.Push}).Validate(); err != nil {
		return failed, err
	}
	if !m.Expires.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, m.Expires) // Send ends with the code's life, too
		defer cancel()
	}
	body, err := json.Marshal(map[string]any{"device": m.To.Push, "text": m.Text, "expires": m.Expires})
	if err != nil {
		return failed, fault(channel.Misconfigured, "", err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/messages", bytes.NewReader(body))
	if err != nil {
		return failed, fault(channel.Misconfigured, "", errors.New("the URL is wrong"))
	}
	q.Header.Set("Authorization", "Bearer "+p.token)
	q.Header.Set("Idempotency-Key", m.ID) // a repeated try is the same message
	answer, err := p.client.Do(q)
	if err != nil {
		return failed, unanswered(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusAccepted {
		return failed, refused(answer)
	}
	var accepted struct{ ID string }
	if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&accepted); err != nil || accepted.ID == "" {
		return failed, fault(channel.Unknown, "", errors.New("the answer has no id"))
	}
	return channel.Submission{ProviderIDs: []string{accepted.ID}, State: channel.Sent}, nil
}

// fault is an error of this channel. Its text must hold no code, address or token.
func fault(class channel.Class, code string, cause error) *channel.Error {
	return &channel.Error{Class: class, Op: "push: send", Code: code, Err: cause}
}

// unanswered is the error of a request that has no answer. If the connection was
// never made, the message was not sent; else it may have been.
func unanswered(ctx context.Context, err error) *channel.Error {
	var dialing *net.OpError
	switch {
	case errors.As(err, &dialing) && dialing.Op == "dial":
		return fault(channel.Temporary, "", errors.New("no connection"))
	case ctx.Err() != nil:
		return fault(channel.Unknown, "", ctx.Err())
	}
	return fault(channel.Unknown, "", errors.New("no answer"))
}

// refused is the error of an answer that is not 202.
func refused(answer *http.Response) *channel.Error {
	class := channel.Unknown // 500: the message may have been taken
	switch answer.StatusCode {
	case http.StatusNotFound, http.StatusGone: // the app was removed from the device
		class = channel.Unreachable
	case http.StatusBadRequest:
		class = channel.InvalidRecipient
	case http.StatusUnauthorized, http.StatusForbidden:
		class = channel.Misconfigured
	case http.StatusTooManyRequests:
		class = channel.Throttled
	case http.StatusServiceUnavailable:
		class = channel.Temporary
	}
	e := fault(class, strconv.Itoa(answer.StatusCode), nil)
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	return e
}

// signatureHeader holds the HMAC-SHA256 of a webhook's body in hexadecimal.
const signatureHeader = "X-Signature"

func sign(key, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// ServeHTTP takes the provider's webhooks. It answers 204 once the receipt is
// stored; after any other status the provider repeats the webhook.
func (p *push) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, 64<<10))
	if err != nil || !hmac.Equal([]byte(sign(p.key, body)), []byte(q.Header.Get(signatureHeader))) {
		http.Error(w, "wrong signature", http.StatusForbidden)
		return
	}
	rc, err := readReceipt(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := p.receipt(q.Context(), rc); err != nil {
		http.Error(w, "not stored, repeat it", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func readReceipt(body []byte) (rc channel.Receipt, err error) {
	var hook struct{ ID, Status, Reason string }
	if err := json.Unmarshal(body, &hook); err != nil || hook.ID == "" {
		return rc, errors.New("not a webhook of this provider")
	}
	rc = channel.Receipt{ProviderID: hook.ID, Code: hook.Reason, At: time.Now()}
	switch hook.Status {
	case "delivered":
		rc.State = channel.Delivered
	case "failed":
		rc.State, rc.Class = channel.Failed, channel.Unreachable
	default:
		return rc, fmt.Errorf("unknown status %q", hook.Status)
	}
	return rc, nil
}
