package smtp

import (
	"bytes"
	"errors"
	"strconv"
)

// A pipeline sends the commands of a transaction together (RFC 2920) if the
// server allows it: a transaction takes two round trips instead of four. go-smtp
// cannot do this. From begin to the reply to DATA the pipeline holds back the
// commands MAIL and RCPT, and answers them as if the server had accepted them.
// With DATA it sends all three at once. Its answer is the first refusal among
// their replies, or else the reply to DATA. There is only one RCPT, so no reply
// is lost.
//
// A pipeline belongs above the reply limiter, and so above TLS. It is not safe
// for concurrent use.
type pipeline struct {
	*replyLimiter
	steps   []step // of the group being held back or answered; empty: no group
	waiting int    // of steps, those whose command go-smtp has not sent yet
	group   []byte // the held-back commands
	answer  []byte // for go-smtp to read
	replies []byte // to the group, as received

	mail []byte // to be sent in place of an empty mail; nil: none

	upper bool // letters become upper case when read

	failed     phase // of the first refusal, or of the first missing reply
	resettable bool  // all replies have come, and the connection accepts a RSET
}

// A step is a command and the beginning of the reply that accepts it.
type step struct {
	phase  phase
	accept string
}

// group lists the first commands of a transaction. The RSET is sent only if a
// refusal ended the transaction before.
var group = [...]step{{phaseReset, "250"}, {phaseMail, "250"}, {phaseRcpt, "25"}, {phaseData, "354"}}

// begin holds back the next commands, up to DATA.
func (p *pipeline) begin(reset bool) {
	p.group, p.answer = p.group[:0], nil
	p.failed, p.resettable = "", false
	p.steps, p.waiting = group[1:], 3
	if reset {
		p.steps = group[:]
		p.group = append(p.group, "RSET\r\n"...)
	}
}

// end drops the held-back commands, and passes everything through again.
func (p *pipeline) end() { p.steps, p.waiting = nil, 0 }

var held = []byte("250 held back\r\n")

var (
	// endOfNothing is go-smtp's end of an empty mail.
	endOfNothing = []byte("\r\n.\r\n")
	errEnding    = errors.New("go-smtp ends an empty mail in an unknown way")
)

// isReady reports whether mail needs no dot-stuffing.
func isReady(mail []byte) bool {
	return len(mail) > 0 && mail[0] != '.' && !bytes.Contains(mail, []byte("\n.")) &&
		bytes.HasSuffix(mail, []byte("\r\n"))
}

// Write has three modes:
//
//   - A mail waits in p.mail: it replaces go-smtp's end of an empty mail.
//   - Commands are awaited, since begin: they are held back, and the last sends
//     all of them.
//   - Otherwise everything passes through: before begin, after DATA, and for the
//     whole of a session without PIPELINING.
func (p *pipeline) Write(b []byte) (int, error) {
	switch {
	case p.mail != nil:
		return p.writeMail(b)
	case p.waiting > 0:
		return p.hold(b)
	}
	return p.replyLimiter.Write(b)
}

// writeMail sends the waiting mail with its final dot, when go-smtp ends a mail
// that it believes to be empty. go-smtp's own writer processes a mail octet by
// octet, which takes longer than everything else here.
func (p *pipeline) writeMail(end []byte) (int, error) {
	if !bytes.Equal(end, endOfNothing) {
		p.writeErr = errEnding
		return 0, errEnding // it would end an empty mail
	}
	whole := append(p.mail, ".\r\n"...)
	p.mail = nil
	if _, err := p.replyLimiter.Write(whole); err != nil {
		return 0, err
	}
	return len(end), nil
}

// hold keeps a command, and sends the group after its last command.
func (p *pipeline) hold(b []byte) (int, error) {
	p.group = append(p.group, b...)
	if !bytes.HasSuffix(b, []byte("\n")) {
		return len(b), nil // the rest of the command follows
	}
	p.waiting--
	if p.waiting > 0 {
		p.answer = held
		return len(b), nil
	}
	if _, err := p.send(p.group, len(p.steps)); err != nil {
		p.failed = p.steps[0].phase
		return 0, err
	}
	return len(b), nil
}

func (p *pipeline) Read(b []byte) (int, error) {
	if len(p.answer) == 0 && len(p.steps) > 0 {
		if err := p.collect(); err != nil {
			return 0, err
		}
	}
	if len(p.answer) > 0 {
		n := copy(b, p.answer)
		p.answer = p.answer[n:]
		return n, nil
	}
	n, err := p.replyLimiter.Read(b)
	if p.upper {
		for i, c := range b[:n] {
			if c >= 'a' && c <= 'z' {
				b[i] -= 'a' - 'A'
			}
		}
	}
	return n, err
}

// collect reads the replies to the group, and makes the decisive reply the
// answer.
func (p *pipeline) collect() error {
	steps := p.steps
	p.end()
	err := p.readReplies()
	closing, last := false, 0
	rest := p.replies
	for _, s := range steps {
		var reply []byte
		if reply, rest = cutReply(rest); reply == nil {
			if p.failed == "" {
				p.failed = s.phase
			}
			if p.answer == nil {
				return err
			}
			return nil // a refusal, and then nothing more
		}
		last, _ = strconv.Atoi(string(reply[:min(3, len(reply))]))
		closing = closing || last == 421
		if p.failed == "" && !s.isAccepted(reply) {
			p.failed, p.answer = s.phase, reply
		}
		if s.phase == phaseData && p.failed == "" {
			p.answer = reply
		}
	}
	// If the server refuses DATA too, as it should, no mail has begun.
	p.resettable = last >= 400 && last < 600 && !closing
	return nil
}

// readReplies reads until all replies to the group have come, or an error.
func (p *pipeline) readReplies() (err error) {
	p.replies = p.replies[:0]
	for !p.done() && err == nil {
		p.replies = growFor(p.replies)
		var n int
		n, err = p.replyLimiter.Read(p.replies[len(p.replies):cap(p.replies)])
		p.replies = p.replies[:len(p.replies)+n]
	}
	return err
}

// isAccepted reports whether reply is well-formed and accepts the command.
// go-smtp does not see the reply, so it cannot check it.
func (s step) isAccepted(reply []byte) bool {
	const maxLine = 2000 // go-smtp's limit
	code := reply[:min(3, len(reply))]
	if !bytes.HasPrefix(code, []byte(s.accept)) || len(code) < 3 || code[2] < '0' || code[2] > '9' {
		return false
	}
	for line := range bytes.Lines(reply) {
		if len(line) > maxLine || !bytes.HasPrefix(line, code) || line[3] > ' ' && line[3] != '-' {
			return false
		}
	}
	return true
}

func growFor(b []byte) []byte {
	if cap(b)-len(b) >= 512 {
		return b
	}
	return append(make([]byte, 0, max(1024, 2*cap(b))), b...)
}

// cutReply cuts the first whole reply off b, or returns nil.
func cutReply(b []byte) (reply, rest []byte) {
	for at := 0; ; {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return nil, b
		}
		more := end > 3 && b[at+3] == '-'
		if at += end + 1; !more {
			return b[:at], b[at:]
		}
	}
}
