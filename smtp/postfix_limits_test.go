//go:build linux

package smtp_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// What a real Postfix refuses of one address, allows at once, and slows down.
func TestRealPostfixLimits(t *testing.T) {
	p := startPostfix(t)
	t.Run("reject_non_fqdn_recipient", func(t *testing.T) { testPostfixNonFQDN(t, p) })
	t.Run("smtpd_client_connection_count_limit", func(t *testing.T) { testPostfixThree(t, p) })
	t.Run("smtpd_soft_error_limit", func(t *testing.T) { testPostfixErrors(t, p) })
}

func testPostfixNonFQDN(t *testing.T, p *postfix) {
	route := byFailover(t, p.channel(t, p.strict))
	for i := range 12 {
		_, err := route.Send(t.Context(), p.message(fmt.Sprint("localhost.", i), "someone@localhost"))
		if err == nil || !strings.Contains(err.Error(), "5.5.2") || !strings.Contains(err.Error(), "unreachable") {
			t.Errorf("someone@localhost: %v\n%s", err, p.log())
		}
	}
	if _, err := route.Send(t.Context(), p.message("good.1", "alice@example.test")); err != nil {
		t.Errorf("%v\n%s", err, p.log())
	}
	p.mailbox(t, "alice")
}

func testPostfixThree(t *testing.T, p *postfix) {
	route := byFailover(t, p.channel(t, p.narrow))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := route.Send(t.Context(), p.message(fmt.Sprintf("w%d-%d.1", w, i),
					"alice@example.test")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range 400 {
		p.mailbox(t, "alice")
	}
	if !strings.Contains(p.log(), "Connection concurrency limit exceeded") {
		t.Error("Postfix has refused no connection")
	}
}

// After ten errors on a connection, Postfix waits a second before each reply.
func testPostfixErrors(t *testing.T, p *postfix) {
	ch := p.channel(t, p.starttls)
	for i := range 12 {
		_, err := ch.Send(t.Context(), p.message(fmt.Sprint("wrong.", i), fmt.Sprintf("nobody%d@example.test", i)))
		if channel.ClassOf(err) != channel.InvalidRecipient {
			t.Error(err)
		}
		begun := time.Now()
		if i%4 != 3 {
			continue
		}
		if _, err := ch.Send(t.Context(), p.message(fmt.Sprint("right.", i), "alice@example.test")); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 2500*time.Millisecond { // slowed down, four replies take 4 s
			t.Errorf("after %d wrong addresses the next mail took %v\n%s", i+1, took, p.log())
		}
		p.mailbox(t, "alice")
	}
}
