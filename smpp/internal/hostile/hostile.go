// Package hostile reads the PDUs that no peer should send, for the tests and
// fuzz targets of several packages.
package hostile

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// A PDU is a peer's PDU with the answers of a bound session.
type PDU struct {
	Name           string
	Octets         []byte
	Client, Server Answer
}

// An Answer is a PDU without a body.
type Answer struct {
	ID, Status, Seq uint32 // ID 0: no answer
	Closes          bool   // the connection is closed afterwards
}

//go:embed hostile.txt
var text string

// PDUs returns the PDUs of hostile.txt, whose head describes it.
func PDUs(tb testing.TB) []PDU {
	tb.Helper()
	var all []PDU
	for n, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		p, err := parse(line)
		if err != nil {
			tb.Fatalf("hostile.txt:%d: %v", n+1, err)
		}
		all = append(all, p)
	}
	return all
}

func parse(line string) (p PDU, err error) {
	columns := strings.Split(line, " | ")
	if len(columns) != 4 {
		return p, fmt.Errorf("%d columns, want 4", len(columns))
	}
	p.Name = columns[0]
	if p.Octets, err = parseOctets(columns[1]); err != nil {
		return p, err
	}
	if p.Client, err = parseAnswer(columns[2]); err != nil {
		return p, err
	}
	p.Server, err = parseAnswer(columns[3])
	return p, err
}

func parseOctets(s string) (octets []byte, err error) {
	for word := range strings.FieldsSeq(s) {
		digits, times, repeated := strings.Cut(word, "x")
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil {
				return nil, err
			}
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, err
		}
		octets = append(octets, bytes.Repeat(b, n)...)
	}
	return octets, nil
}

func parseAnswer(s string) (a Answer, err error) {
	s, a.Closes = strings.CutSuffix(s, " closes")
	if s == "-" {
		return a, nil
	}
	_, err = fmt.Sscanf(s, "%X %X %d", &a.ID, &a.Status, &a.Seq)
	return a, err
}
