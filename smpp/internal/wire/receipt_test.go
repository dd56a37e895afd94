package wire

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const appendixB = "id:abc-123 sub:001 dlvrd:001 submit date:2602121430 done date:2602121431" +
	" stat:DELIVRD err:000 text:Your code"

func TestParseReceipt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       Receipt
	}{
		{"Appendix B", appendixB, Receipt{"abc-123", "001", "001", "2602121430", "2602121431", "DELIVRD", "000",
			"Your code"}},
		{"upper case", "ID:1 SUB:001 DLVRD:001 SUBMIT DATE:26 DONE DATE:27 STAT:DELIVRD ERR:000 TEXT:x",
			Receipt{"1", "001", "001", "26", "27", "DELIVRD", "000", "x"}},
		{"no sub, dlvrd, text", "id:1 submit date:26 done date:27 stat:UNDELIV err:001",
			Receipt{ID: "1", SubmitDate: "26", DoneDate: "27", Stat: "UNDELIV", Err: "001"}},
		{"another order", "stat:DELIVRD err:0 id:1", Receipt{ID: "1", Stat: "DELIVRD", Err: "0"}},
		{"blanks after the colon", "id: 1 stat:  DELIVRD err:", Receipt{ID: "1", Stat: "DELIVRD"}},
		{"empty value before a key", "id:1 err: stat:DELIVRD", Receipt{ID: "1", Stat: "DELIVRD"}},
		{"date with a blank", "id:1 submit date:2026-02-12 14:30:00 done date:2026-02-12 14:31 stat:DELIVRD",
			Receipt{ID: "1", SubmitDate: "2026-02-12", DoneDate: "2026-02-12", Stat: "DELIVRD"}},
		{"underscores", "id:1 submit_date:26 done_date:27 stat:DELIVRD",
			Receipt{ID: "1", SubmitDate: "26", DoneDate: "27", Stat: "DELIVRD"}},
		{"lines", "id:1\r\nstat:DELIVRD\r\n", Receipt{ID: "1", Stat: "DELIVRD"}},
		{"trailing NUL", "id:1 stat:DELIVRD\x00", Receipt{ID: "1", Stat: "DELIVRD"}},
		{"text forges fields", "id:1 stat:UNDELIV err:1 text:id:2 stat:DELIVRD",
			Receipt{ID: "1", Stat: "UNDELIV", Err: "1", Text: "id:2 stat:DELIVRD"}},
		{"text fills no gap", "id:1 text:stat:DELIVRD", Receipt{ID: "1", Text: "stat:DELIVRD"}},
		{"the first counts", "id:1 id:2 stat:DELIVRD stat:UNDELIV", Receipt{ID: "1", Stat: "DELIVRD"}},
		{"key within a word", "paid:9 valid:8 id:1 stat:DELIVRD", Receipt{ID: "1", Stat: "DELIVRD"}},
		{"id with colons", "id:a:b:c stat:DELIVRD", Receipt{ID: "a:b:c", Stat: "DELIVRD"}},
	} {
		got, ok := ParseReceipt(tt.text)
		if diff := cmp.Diff(tt.want, got); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, ok, diff)
		}
	}
	for _, text := range []string{"", "hello, text: me", "text:id:1 stat:DELIVRD", "done", "err:001", "id:", "\x00"} {
		if r, ok := ParseReceipt(text); ok {
			t.Errorf("ParseReceipt(%q) = %+v", text, r)
		}
	}
}

func TestReceiptRoundTrip(t *testing.T) {
	t.Parallel()
	r, _ := ParseReceipt(appendixB)
	if r.String() != appendixB {
		t.Errorf("got %q", r.String())
	}
}

func FuzzReceiptText(f *testing.F) {
	f.Add(appendixB)
	f.Add("id:1 err: stat:DELIVRD text:text:")
	f.Add("submit date:submit date: id:\x00 \xff:")
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := ParseReceipt(text)
		if ok != (r.ID != "" || r.Stat != "") {
			t.Fatalf("%v for %+v", ok, r)
		}
		for _, v := range []string{r.ID, r.Sub, r.Dlvrd, r.SubmitDate, r.DoneDate, r.Stat, r.Err} {
			if !strings.Contains(text, v) || strings.ContainsAny(v, " \t\r\n\x00") {
				t.Fatalf("%q is not a word of %q", v, text)
			}
		}
	})
}

func TestRelativeTime(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "000000001000000R", 5*time.Minute + 900*time.Millisecond: "000000000500000R",
		time.Millisecond: "000000000001000R", -time.Hour: "000000000001000R", 25 * time.Hour: "000001010000000R",
		90*time.Minute + 7*time.Second: "000000013007000R", 1000 * time.Hour: "000030000000000R",
	} {
		got := string(appendRelativeTime(nil, d))
		if got != want || len(got) != MaxTime {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
		if back, ok := ParseRelativeTime(got); !ok || d >= time.Second &&
			back != min(d.Truncate(time.Second), maxRelative) {
			t.Errorf("%q reads as %v, %v", got, back, ok)
		}
	}
	for _, s := range []string{"", "260212143000000+", "0000000010000000", "00000000xx00000R", "000000001000000r"} {
		if d, ok := ParseRelativeTime(s); ok {
			t.Errorf("%q reads as %v", s, d)
		}
	}
}
