package smtptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	gosmtp "github.com/emersion/go-smtp"
)

// A Phase is a step of SMTP at which a [Rule] can apply.
type Phase uint8

// The phases, in order.
const (
	AtHello Phase = iota + 1 // EHLO
	AtAuth                   // the credentials have come
	AtMail                   // MAIL FROM
	AtRcpt                   // RCPT TO
	AtBody                   // DATA was answered with 354, and its body is still unread
	AtDot                    // the final dot has come
)

// An Action is the effect of a [Rule] apart from its reply.
type Action uint8

// The actions.
const (
	Answer     Action = iota // give the Reply
	Stall                    // say nothing until ClearScript or Close
	Disconnect               // close the connection
)

// A Reply is an SMTP reply, "550 5.1.1 no such user".
type Reply struct {
	Code     int
	Enhanced string // RFC 3463; default: the code's first digit and ".0.0"
	Text     string
}

// A Rule makes the server deviate from accepting everything.
type Rule struct {
	Phase     Phase
	Recipient string // from AtRcpt on: only for this recipient; default: any
	Action    Action
	Reply     Reply // for Answer; AtBody has no reply
	Times     int   // how often the rule applies; default: always
}

func (r Rule) check() {
	switch {
	case r.Phase < AtHello || r.Phase > AtDot:
		panic("smtptest: Rule.Phase is none of the phases")
	case r.Recipient != "" && r.Phase < AtRcpt:
		panic("smtptest: Rule.Recipient is not known yet in this phase")
	case r.Action == Answer && r.Phase == AtBody:
		panic("smtptest: Rule.Reply: the body is answered at AtDot")
	case r.Action == Answer && (r.Reply.Code < 200 || r.Reply.Code > 599):
		panic("smtptest: Rule.Reply.Code is not 200 to 599")
	case strings.ContainsAny(r.Reply.Text, "\r\n"):
		panic("smtptest: Rule.Reply.Text has more than one line")
	}
	if r.Reply.Enhanced != "" {
		r.Reply.enhanced()
	}
}

func (r Reply) enhanced() (e gosmtp.EnhancedCode) {
	if r.Enhanced == "" {
		return gosmtp.EnhancedCodeNotSet
	}
	parts := strings.Split(r.Enhanced, ".")
	if len(parts) != len(e) {
		panic(fmt.Sprintf("smtptest: Reply.Enhanced %q is not like 5.1.1", r.Enhanced))
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 999 {
			panic(fmt.Sprintf("smtptest: Reply.Enhanced %q is not like 5.1.1", r.Enhanced))
		}
		e[i] = n
	}
	return e
}

// ruleFor finds the rule for a step and counts its use.
func (s *Server) ruleFor(p Phase, recipients []string) (rule Rule, unstall <-chan struct{}, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range slices.Backward(s.rules) {
		rule = s.rules[i]
		if rule.Phase != p || !rule.concerns(recipients) {
			continue
		}
		if rule.Times == 1 {
			s.rules = slices.Delete(s.rules, i, i+1)
		} else if rule.Times > 1 {
			s.rules[i].Times--
		}
		return rule, s.unstall, true
	}
	return Rule{}, nil, false
}

func (r Rule) concerns(recipients []string) bool {
	if r.Recipient == "" {
		return true
	}
	for _, to := range recipients {
		if strings.EqualFold(to, r.Recipient) {
			return true
		}
	}
	return false
}

// apply follows the script. If the error is nil, the server continues as usual.
func (s *Server) apply(p Phase, conn *gosmtp.Conn, recipients ...string) error {
	rule, unstall, found := s.ruleFor(p, recipients)
	if !found {
		return nil
	}
	switch rule.Action {
	case Stall:
		select {
		case <-unstall:
			return nil
		case <-s.closing:
		}
		return &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "closing"}
	case Disconnect:
		_ = conn.Conn().Close()
		return &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "gone"}
	}
	return &gosmtp.SMTPError{Code: rule.Reply.Code, EnhancedCode: rule.Reply.enhanced(), Message: rule.Reply.Text}
}
