package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/channel/sms/findcode"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// defaultLife is the life of a code if its submit_sm has no validity_period. The
// text gives it in minutes.
const defaultLife = 5 * time.Minute

// typeAlphanumeric is the type of number of a brand name (SMPP 3.4, section 5.2.5).
const typeAlphanumeric = 0x05

// A connector passes the codes in the messages of its accounts to a channel.
type connector struct {
	accounts accounts
	channel  channel.Channel
	texts    *texts
	awaited  *awaited
	metrics  *metrics
	address  func(number string) channel.Recipient // of a person, by their number

	server *smppserver.Server
}

// newConnector returns a connector that serves nothing yet. The limits and timeouts
// of the guide are the defaults of smppserver.Config.
func newConnector(all accounts, c smppserver.Config, log io.Writer) (*connector, error) {
	v := &connector{
		accounts: all, texts: newTexts(), awaited: newAwaited(), metrics: &metrics{},
		address: func(number string) channel.Recipient { return channel.Recipient{Phone: number} },
	}
	for _, a := range all {
		if _, err := v.texts.set(a.Sender); err != nil {
			return nil, fmt.Errorf("account %q: sender: %w", a.SystemID, err)
		}
	}
	c.SystemID = "connector"
	c.Authenticate = all.authenticate
	c.TPS, c.MaxBinds = all.tps, all.binds
	c.Assemble = true
	c.Handler = v.handle
	c.OnBind = func(_ smppserver.BindRequest, answer smpp.Status) { v.metrics.count("bind", answer) }
	c.OnReceipt = v.metrics.receipt
	if log != nil {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	var err error
	v.server, err = smppserver.New(c)
	return v, err
}

// handle answers a message.
func (c *connector) handle(ctx context.Context, m *smppserver.Submit) (id string, err error) {
	id, err = c.deliver(ctx, m)
	c.metrics.count("submit", smppserver.StatusOf(err))
	return id, err
}

func (c *connector) deliver(ctx context.Context, m *smppserver.Submit) (id string, err error) {
	a := c.accounts[m.SystemID]
	number, err := phone.Parse("+"+strings.TrimPrefix(m.To, "+"), "")
	if err != nil || !number.Type.SMS() || !a.serves(number.Region) {
		return "", smpp.StatusInvalidDestination
	}
	code, ok := findcode.In(m.Text)
	if !ok {
		return "", smpp.StatusInvalidMsgLength
	}
	out, err := c.message(a, m, number, code)
	if err != nil {
		return "", smpp.StatusSystemError
	}
	// A receipt may come before Send returns.
	c.awaited.add(out.ID, m, out.Expires)
	sub, err := c.channel.Send(ctx, out)
	if err != nil {
		c.awaited.drop(out.ID)
		return "", smppserver.StatusOfClass(channel.ClassOf(err))
	}
	if sub.State == channel.Delivered {
		c.awaited.drop(out.ID)
		m.Deliver(smppserver.DeliveryReceipt{Submitted: out.Created})
		return out.ID, nil
	}
	for _, provider := range sub.ProviderIDs {
		c.awaited.alias(provider, out.ID)
	}
	return out.ID, nil
}

// message words the code anew, under the name in the submit_sm. The language is the
// account's, or the number's country's.
func (c *connector) message(
	a *account, m *smppserver.Submit, number phone.Number, code string,
) (*channel.Message, error) {
	now := time.Now()
	out := &channel.Message{
		ID: strings.ToLower(rand.Text()[:20]), To: c.address(number.E164), Code: code,
		Sender: brand(a, m), Created: now, Expires: m.Expires,
	}
	if out.Expires.IsZero() {
		out.Expires = now.Add(defaultLife)
	}
	return out, c.texts.word(out, a, number.Region)
}

// brand returns the name in the message: an alphanumeric sender, else the
// account's. A sender with letters is alphanumeric, whatever its type of number.
func brand(a *account, m *smppserver.Submit) string {
	named := m.FromTON == typeAlphanumeric && m.From != ""
	if named || strings.ContainsFunc(m.From, unicode.IsLetter) {
		return m.From
	}
	return a.Sender
}

var errUnknownReceipt = errors.New("smppconnector: receipt for no known message")

// receipt passes on a later report of a channel about a message. If it returns an
// error, the provider repeats the receipt: the message may not be known yet.
func (c *connector) receipt(_ context.Context, r channel.Receipt) error {
	m, ok := c.awaited.find(r.MessageID, r.ProviderID)
	if !ok {
		return errUnknownReceipt
	}
	stat := "DELIVRD"
	switch r.State {
	case channel.Delivered:
	case channel.Failed:
		stat = "UNDELIV"
	default:
		return nil // not final
	}
	c.awaited.drop(m.id)
	if !m.submit.WantsReceipt(stat) {
		return nil
	}
	for _, id := range slices.Concat(m.submit.PartIDs, []string{m.id}) {
		err := c.server.Deliver(m.submit.SystemID, smppserver.DeliveryReceipt{
			ID: id, From: m.submit.To, To: m.submit.From, ToTON: m.submit.FromTON, Stat: stat, Submitted: m.since,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
