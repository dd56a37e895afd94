package smpp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestNoSecretsInLogs goes through everything that is logged, with a code that
// cannot be mistaken for anything else.
func TestNoSecretsInLogs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const code, password = "KXQWZJVB", "pa55-w0rd-7f3a"
		var log syncBuffer
		config := peers(t, func(p *peer, n int) {
			f, _ := p.Await(pdu.BindTransceiverID)
			if n == 1 {
				_, _ = p.Write(wire.AppendEmpty(nil, f.Response(), uint32(smpp.StatusInvalidPassword), f.Seq))
				return
			}
			_, _ = p.Write(wire.AppendID(nil, f.Response(), 0, f.Seq, "smsc"))
			f, ok := p.Await(pdu.SubmitSmID)
			if !ok {
				return
			}
			quoting := deliver(1, "m1")
			for _, b := range [][]byte{
				wire.AppendEmpty(nil, pdu.SubmitSmRespID, 0x45, f.Seq),
				wire.AppendEmpty(nil, pdu.SubmitSmRespID, 0x45, f.Seq),
				wire.AppendMessage(nil, pdu.DeliverSmID, 2, &wire.Message{Short: []byte(code)}),
				wire.AppendMessage(nil, pdu.DeliverSmID, 3, &wire.Message{EsmClass: 4,
					Short: []byte("stat:UNDELIV err:" + code + "1234 text:id:1 stat:" + code)}),
				wire.AppendMessage(nil, 0xDEF, 4, &wire.Message{Short: []byte(code)}),
				quoting,
			} {
				_, _ = p.Write(b)
				p.Next()
			}
			_, _ = p.Write([]byte("\xff\xff\xff\xff" + code + code))
			p.Drain()
		})
		config.SystemID, config.Password = "bank", password
		config.RefusedWait = time.Minute
		config.Receipt = func(context.Context, channel.Receipt) error { return errors.New("store is down") }
		config.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		config.Logger.Info("configuration", "config", config)
		c := newClient(t, config)
		config.Logger.Info("client", "client", c)
		m := message(ann, code+" is your code")
		var told []error
		_, err := c.Send(t.Context(), m)
		told = append(told, err)
		time.Sleep(2 * time.Minute)
		for range 3 {
			_, err := c.Send(t.Context(), m)
			told = append(told, err, c.Ready(t.Context()))
		}
		c.Close()
		out := log.String() + fmt.Sprint(told) + fmt.Sprintf("%v %+v %#v %s", config, config, config, config) +
			fmt.Sprintf("%v %+v %#v %s", c, c, c, c)
		for _, secret := range []string{code, password, "7911123456"} {
			if i := strings.Index(out, secret); i >= 0 {
				t.Errorf("%q is told: …%s…", secret, out[max(0, i-100):min(len(out), i+50)])
			}
		}
		for _, want := range []string{"refuses the credentials", "smpp: bound", "session ended", "without a message id",
			"no delivery receipt", "nothing outstanding", "unexpected request", "was not taken", "0x45"} {
			if !strings.Contains(out, want) {
				t.Errorf("nothing is told of %q:\n%s", want, out)
			}
		}
	})
}
