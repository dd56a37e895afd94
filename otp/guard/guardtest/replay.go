package guardtest

import (
	"container/heap"
	"time"
)

// A Verdict is a guard's answer.
type Verdict uint8

// The verdicts.
const (
	Allow  Verdict = iota
	StepUp         // allowed once a captcha or the like is passed
	Refuse
)

// A Guard is under test.
type Guard interface {
	// Check is called before each message. cleared: a step-up was passed.
	Check(now time.Duration, a *Attempt, cleared bool) Verdict

	// Verified is called when the session of a is verified, after sent messages.
	Verified(now time.Duration, a *Attempt, sent int)
}

// A Tally counts the ends of the attempts of one label.
type Tally struct {
	Attempts, Sent, Refused int
	SteppedUp, Stuck        int     // asked to step up; of these, not passed
	Cost                    float64 // US cents
	Last                    time.Duration
	FirstHour               int // sent in the hour after the label's first attempt
	first                   time.Duration
}

// Replay runs trace against g and returns a Tally for each label. People during an
// attack are also counted as "legit/attack". A session asks no more once it was
// refused or verified.
func Replay(trace []Attempt, g Guard) map[string]*Tally {
	report := map[string]*Tally{}
	sent := map[int]int{}   // messages by session
	ended := map[int]bool{} // sessions refused or verified
	var due verifications
	from, to := span(trace)
	for i := range trace {
		a := &trace[i]
		for len(due) > 0 && due[0].at <= a.At {
			v := heap.Pop(&due).(verification)
			g.Verified(v.at, v.a, sent[v.a.Session])
			delete(sent, v.a.Session)
		}
		if ended[a.Session] {
			continue
		}
		tallies := []*Tally{tally(report, a.Label, a.At)}
		if a.Label == Legit && a.At >= from && a.At <= to {
			tallies = append(tallies, tally(report, "legit/attack", a.At))
		}
		verdict := g.Check(a.At, a, false)
		stepped := verdict == StepUp
		if stepped && a.Solves {
			verdict = g.Check(a.At, a, true)
		}
		for _, t := range tallies {
			t.count(a, verdict, stepped)
		}
		if verdict != Allow {
			ended[a.Session] = a.Label == Legit
			continue
		}
		sent[a.Session]++
		if a.Verify > 0 {
			heap.Push(&due, verification{a.At + a.Verify, a})
		}
	}
	return report
}

func tally(report map[string]*Tally, label string, at time.Duration) *Tally {
	if report[label] == nil {
		report[label] = &Tally{first: at}
	}
	return report[label]
}

func (t *Tally) count(a *Attempt, v Verdict, stepped bool) {
	t.Attempts++
	if stepped {
		t.SteppedUp++
	}
	switch v {
	case StepUp:
		t.Stuck++
	case Refuse:
		t.Refused++
	case Allow:
		t.Sent++
		t.Cost += a.Price
		t.Last = a.At
		if a.At < t.first+time.Hour {
			t.FirstHour++
		}
	}
}

// span is from the first attempt of an attack to the last.
func span(trace []Attempt) (from, to time.Duration) {
	from = -1
	for _, a := range trace {
		if a.Label != Legit {
			if from < 0 {
				from = a.At
			}
			to = a.At
		}
	}
	if from < 0 {
		return 1, 0
	}
	return from, to
}

type verification struct {
	at time.Duration
	a  *Attempt
}

// verifications are ordered by time.
type verifications []verification

func (h verifications) Len() int           { return len(h) }
func (h verifications) Less(i, j int) bool { return h[i].at < h[j].at }
func (h verifications) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *verifications) Push(x any)        { *h = append(*h, x.(verification)) }
func (h *verifications) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
