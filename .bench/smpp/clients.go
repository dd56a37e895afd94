package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	fiorix "github.com/fiorix/go-smpp/smpp"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"github.com/linxGnu/gosmpp"
	gosmppdata "github.com/linxGnu/gosmpp/data"
	gosmpppdu "github.com/linxGnu/gosmpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
)

// What every client sends.
const (
	systemID = "bench"
	password = "secret"
	sender   = "Courier"
	phone    = "+447911123456"
	text     = "482910 is your code. Keep it, do not share it"
	life     = 5 * time.Minute
)

const (
	tonInternational = 1
	tonAlphanumeric  = 5
	npiE164          = 1
)

// A bound client sends n messages and returns when all are accepted.
type bound interface {
	send(n int) error
	close() error
}

// clients opens each client by its name, with so many messages at a time.
var clients = map[string]func(addr string, window int) (bound, error){
	"otpcourier":    openOurs,
	"gosmpp":        openGosmpp,
	"go-smpp":       openFiorix,
	"raw-per-frame": openRaw(writePerFrame),
	"raw-batched":   openRaw(writeBatched),
}

// order is that of the table.
var order = []string{"otpcourier", "gosmpp", "go-smpp", "raw-per-frame", "raw-batched"}

// inParallel calls submit n times in all from so many goroutines, each with
// its number.
func inParallel(workers, n int, submit func(worker int) error) error {
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		share := (n + w) / workers
		wg.Go(func() {
			for range share {
				if errs[w] = submit(w); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Ours: the public API, with a window that never makes a Send wait for it.
type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

type ours struct {
	client *smpp.Client
	window int
}

func openOurs(addr string, window int) (bound, error) {
	c, err := openClient(addr, window, nil)
	if err != nil {
		return nil, err
	}
	return &ours{client: c, window: window}, nil
}

func openClient(addr string, window int, dial dialer) (*smpp.Client, error) {
	c, err := smpp.New(smpp.Config{
		Addr: addr, SystemID: systemID, Password: password,
		DangerouslyPlaintext: true, // loopback; the others do not encrypt either
		Window:               window, Dial: dial,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c, c.Ready(ctx)
}

// setMessage makes m what otp.Service hands to a channel. Send does not keep a
// message, so each worker has one for all that it sends.
func setMessage(m *channel.Message, created time.Time) {
	*m = channel.Message{
		ID: "k3v9.1", To: channel.Recipient{Phone: phone}, Text: text, Sender: sender,
		Created: created, Expires: created.Add(life),
	}
}

func (o *ours) send(n int) error {
	created := time.Now()
	messages := make([]channel.Message, o.window)
	ctxs := make([]context.Context, o.window)
	for w := range ctxs {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		ctxs[w] = ctx //nolint:fatcontext // one for each worker
	}
	return inParallel(o.window, n, func(w int) error {
		setMessage(&messages[w], created)
		s, err := o.client.Send(ctxs[w], &messages[w])
		if err == nil && len(s.ProviderIDs) != 1 {
			return errors.New("no message id")
		}
		return err
	})
}

func (o *ours) close() error { return o.client.Shutdown(context.Background()) }

// gosmpp submits asynchronously and leaves it to the caller to match responses
// with requests. This is done here as cheaply as can be: a worker's sequence
// numbers are congruent to its number modulo window. (Its own window tracking
// is slower, and loses a response that comes before Submit has noted the
// request.)
type linxGnu struct {
	session *gosmpp.Session
	window  int
	next    []int32
	answers []chan answered
}

type answered struct {
	id     string
	status gosmppdata.CommandStatusType
}

func openGosmpp(addr string, window int) (bound, error) {
	g := &linxGnu{window: window}
	for w := range window {
		g.next = append(g.next, int32(window+w))
		g.answers = append(g.answers, make(chan answered, 1))
	}
	auth := gosmpp.Auth{SMSC: addr, SystemID: systemID, Password: password}
	session, err := gosmpp.NewSession(gosmpp.TRXConnector(gosmpp.NonTLSDialer, auth), gosmpp.Settings{
		ReadTimeout: time.Minute, WriteTimeout: 10 * time.Second, OnPDU: g.onPDU,
	}, 0)
	g.session = session
	return g, err
}

func (g *linxGnu) onPDU(p gosmpppdu.PDU, _ bool) {
	if r, ok := p.(*gosmpppdu.SubmitSMResp); ok {
		g.answers[int(r.SequenceNumber)%g.window] <- answered{r.MessageID, r.CommandStatus}
	}
}

func (g *linxGnu) send(n int) error {
	return inParallel(g.window, n, func(w int) error {
		p := gosmpppdu.NewSubmitSM().(*gosmpppdu.SubmitSM)
		p.SetSequenceNumber(g.next[w])
		g.next[w] += int32(g.window)
		p.SourceAddr = gosmpppdu.NewAddressWithTonNpi(tonAlphanumeric, 0)
		p.DestAddr = gosmpppdu.NewAddressWithTonNpi(tonInternational, npiE164)
		p.ValidityPeriod = "000000000500000R"
		if err := errors.Join(
			p.SourceAddr.SetAddress(sender), p.DestAddr.SetAddress(phone[1:]),
			p.Message.SetMessageWithEncoding(text, gosmppdata.GSM7BIT),
		); err != nil {
			return err
		}
		if err := g.session.Transceiver().Submit(p); err != nil {
			return err
		}
		a := <-g.answers[w]
		if a.status != gosmppdata.ESME_ROK || a.id == "" {
			return fmt.Errorf("refused: %v", a.status)
		}
		return nil
	})
}

// close's error is not ours: now and then it finds the connection closed already.
func (g *linxGnu) close() error {
	_ = g.session.Close()
	return nil
}

type goSMPP struct {
	trx    *fiorix.Transceiver
	window int
}

func openFiorix(addr string, window int) (bound, error) {
	trx := &fiorix.Transceiver{Addr: addr, User: systemID, Passwd: password, RespTimeout: 10 * time.Second}
	if status := <-trx.Bind(); status.Status() != fiorix.Connected {
		return nil, status.Error()
	}
	return &goSMPP{trx: trx, window: window}, nil
}

func (g *goSMPP) send(n int) error {
	return inParallel(g.window, n, func(int) error {
		m, err := g.trx.Submit(&fiorix.ShortMessage{
			Src: sender, SourceAddrTON: tonAlphanumeric,
			Dst: phone[1:], DestAddrTON: tonInternational, DestAddrNPI: npiE164,
			Text: pdutext.GSM7(text), Validity: life,
		})
		if err == nil && m.RespID() == "" {
			return errors.New("no message id")
		}
		return err
	})
}

func (g *goSMPP) close() error { return g.trx.Close() }
