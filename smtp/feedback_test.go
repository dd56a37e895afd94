package smtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
)

// feedbackMail reads a mail of testdata/feedback, sent to the return path.
func feedbackMail(t testing.TB, name, returnPath string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "feedback", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "{{return path}}", returnPath)
}

var feedbackTests = map[string]struct {
	kind    FeedbackKind
	err     error
	undated bool
	want    []channel.Receipt // without MessageID and At
}{
	"postfix-failed": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.InvalidRecipient, Code: "5.1.1"}}},
	"delayed": {kind: DeliveryReport, want: []channel.Receipt{{State: channel.Sent, Code: "4.4.1"}}},
	"delivered": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Delivered, Code: "2.0.0"}}},
	"relayed": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Sent, Code: "2.0.0"}, {State: channel.Sent, Code: "2.0.0"}}},
	"status-in-diagnostic": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.InvalidRecipient, Code: "5.1.1"}}},
	"expired-in-queue": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.Temporary, Code: "4.4.7"}}},
	"refused-by-policy": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.Misconfigured, Code: "5.7.26"}}},
	"no-status": {kind: DeliveryReport, undated: true,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.Unreachable}}},
	"utf8-base64": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.InvalidRecipient, Code: "5.1.1"}}},
	"in-a-mailing-gateway": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.InvalidRecipient, Code: "5.1.10"}}},
	"cut-off": {kind: DeliveryReport,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.InvalidRecipient, Code: "5.1.1"}}},
	"complaint-abuse":            {kind: Complaint, want: []channel.Receipt{{State: channel.Delivered, Code: "abuse"}}},
	"complaint-with-return-path": {kind: Complaint, want: []channel.Receipt{{State: channel.Delivered, Code: "fraud"}}},
	"complaint-auth-failure": {kind: Complaint,
		want: []channel.Receipt{{State: channel.Sent, Code: "auth-failure"}}},
	"prose-bounce": {kind: UnknownForm,
		want: []channel.Receipt{{State: channel.Failed, Class: channel.InvalidRecipient, Code: "5.1.1"}}},
	"absence":      {err: ErrNotFeedback},
	"read-receipt": {err: ErrNotFeedback},
	"two-recipients": {kind: DeliveryReport, want: []channel.Receipt{
		{State: channel.Failed, Class: channel.Unreachable, Code: "5.2.2"},
		{State: channel.Delivered, Code: "2.1.5"},
	}},
}

func TestParseFeedback(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	files, err := filepath.Glob("testdata/feedback/*.eml")
	if err != nil || len(files) != len(feedbackTests) {
		t.Errorf("%d files for %d tests, %v", len(files), len(feedbackTests), err)
	}
	for name, tt := range feedbackTests {
		mail := feedbackMail(t, name, v.address("c4n7.1"))
		for _, way := range []string{mail, canonical(mail), strings.ReplaceAll(mail, "bounce+", "BOUNCE+")} {
			got, err := ParseFeedback(iotest.OneByteReader(strings.NewReader(way)), v)
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Errorf("%s: error %v, want %v", name, err, tt.err)
				continue
			}
			if tt.err != nil {
				if diff := cmp.Diff(Feedback{}, got); diff != "" {
					t.Errorf("%s: beside an error (-want +got):\n%s", name, diff)
				}
				continue
			}
			if got.Kind != tt.kind || got.MessageID != "c4n7.1" ||
				(got.Kind == Complaint) != (got.ComplaintType != "") {
				t.Errorf("%s: %+v", name, got)
			}
			for i, r := range got.Receipts {
				if r.MessageID != "c4n7.1" || r.At.IsZero() != tt.undated || !tt.undated && r.At.Year() != 2026 {
					t.Errorf("%s: receipt %+v", name, r)
				}
				got.Receipts[i].MessageID, got.Receipts[i].At = "", time.Time{}
			}
			if diff := cmp.Diff(tt.want, got.Receipts); diff != "" {
				t.Errorf("%s: receipts (-want +got):\n%s", name, diff)
			}
		}
	}
}

// What names a message with another's key, or none, is not believed, whatever
// else it says of ours.
func TestForgedFeedback(t *testing.T) {
	t.Parallel()
	v, theirs := newVERP(t, returnPath, keyA), newVERP(t, returnPath, keyB)
	for name, tt := range feedbackTests {
		if tt.err != nil {
			continue
		}
		for address, want := range map[string]error{
			theirs.address("c4n7.1"):                                      ErrForgedToken,
			"bounce@mybank.example":                                       ErrNoToken,
			"bounce+c4n7.1@mybank.test":                                   ErrNoToken,
			"bounce+" + strings.Repeat("a", 16) + "c4n7.1@mybank.example": ErrForgedToken,
		} {
			got, err := ParseFeedback(strings.NewReader(feedbackMail(t, name, address)), v)
			if !errors.Is(err, want) || got.Receipts != nil {
				t.Errorf("%s to %s: %+v, %v", name, address, got, err)
			}
		}
	}
	mail := "Delivered-To: <" + v.address("c4n7.1") + ">\r\n" + feedbackMail(t, "delayed", "bounce@mybank.example")
	if got, err := ParseFeedback(strings.NewReader(mail), v); err != nil || got.MessageID != "c4n7.1" {
		t.Errorf("a recipient that is told apart: %+v, %v", got, err)
	}
}

func TestFeedbackLimits(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	good := feedbackMail(t, "postfix-failed", v.address("c4n7.1"))
	nested := func(depth int) string {
		var b strings.Builder
		b.WriteString("To: " + v.address("c4n7.1") + "\r\n")
		for i := range depth {
			boundary := strings.Repeat("b", i%60+1) + "x"
			b.WriteString("Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n")
		}
		return b.String() + "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	}
	flat := "To: " + v.address("c4n7.1") + "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	for name, tt := range map[string]struct {
		mail string
		want error
	}{
		"empty":       {"", ErrNotFeedback},
		"no header":   {"hello", ErrNotFeedback},
		"at the size": {good + strings.Repeat("x", maxFeedback-len(good)), nil},
		"too large":   {good + strings.Repeat("x", maxFeedback-len(good)+1), ErrFeedbackLimit},
		"deep":        {nested(maxDepth), nil},
		"too deep":    {nested(maxDepth + 1), ErrFeedbackLimit},
		"3000 deep":   {nested(3000), ErrFeedbackLimit},
		"many parts":  {flat + strings.Repeat("--b\r\n\r\nx\r\n", maxParts+1), ErrFeedbackLimit},
		"many groups": {flat + "--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
			strings.Repeat("Action: failed\r\n\r\n", 1000), nil},
	} {
		got, err := ParseFeedback(strings.NewReader(tt.mail), v)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if len(got.Receipts) > maxGroups {
			t.Errorf("%s: %d receipts", name, len(got.Receipts))
		}
	}
	// Nothing is read past the limit.
	endless := io.MultiReader(strings.NewReader(good), neverEnding{})
	if _, err := ParseFeedback(endless, v); !errors.Is(err, ErrFeedbackLimit) {
		t.Errorf("endless: %v", err)
	}
	if _, err := ParseFeedback(iotest.ErrReader(io.ErrUnexpectedEOF), v); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the reader's error: %v", err)
	}
}

// Fields of thousands of folded lines, in many parts, take little work.
func TestFoldedFeedback(t *testing.T) { // alone: it counts what is allocated
	v := newVERP(t, returnPath, keyA)
	for _, kind := range []string{"message/delivery-status", "message/feedback-report"} {
		part := "--b\nContent-Type: " + kind + "\n\nAction: failed\n" + strings.Repeat(" x\n", maxReport/3-20) + "\n"
		mail := "To: " + v.address("c4n7.1") + "\nContent-Type: multipart/report; boundary=b\n\n" +
			strings.Repeat(part, maxFeedback/len(part)-1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := ParseFeedback(strings.NewReader(mail), v)
		runtime.ReadMemStats(&after)
		if err != nil || len(got.Receipts) != 1 {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
			t.Errorf("%s: %d MiB allocated", kind, grown>>20)
		}
	}
	folded := readGroups([]byte("A: " + strings.Repeat("b", maxFolded-2) + "\n c\n d\nE: f\n g\n"))
	want := []fields{{"a": strings.Repeat("b", maxFolded-2) + " c", "e": "f g"}}
	if diff := cmp.Diff(want, folded); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestFeedbackWithoutVERP(t *testing.T) {
	t.Parallel()
	for _, v := range []*VERP{nil, new(VERP)} {
		if _, err := ParseFeedback(strings.NewReader(""), v); !errors.Is(err, errNoVERP) {
			t.Errorf("%v", err)
		}
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	v := newVERP(t, returnPath, keyA)
	f, err := ParseFeedback(strings.NewReader(feedbackMail(t, "two-recipients", v.address("c4n7.1"))), v)
	if err != nil {
		t.Fatal(err)
	}
	var receipts channel.Receipts
	handle := receipts.For("email")
	if err := f.Deliver(t.Context(), handle); !errors.Is(err, channel.ErrNotAttached) {
		t.Errorf("before Attach: %v", err)
	}
	var got []channel.Receipt
	receipts.Attach(func(_ context.Context, r channel.Receipt) error {
		got = append(got, r)
		return nil
	})
	if err := f.Deliver(t.Context(), handle); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Route != "email" || got[1].State != channel.Delivered || got[1].MessageID != "c4n7.1" {
		t.Errorf("receipts %+v", got)
	}
}

func TestStatusClass(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]channel.Class{
		"5.1.1": channel.InvalidRecipient, "5.1.2": channel.InvalidRecipient, "5.1.3": channel.InvalidRecipient,
		"5.1.6": channel.InvalidRecipient, "5.1.10": channel.InvalidRecipient, "5.2.1": channel.InvalidRecipient,
		"5.2.2": channel.Unreachable, "4.2.2": channel.Unreachable, "5.4.4": channel.Unreachable,
		"5.0.0": channel.Unreachable, "": channel.Unreachable, "2.0.0": channel.Unreachable,
		"5.7.1": channel.Misconfigured, "5.7.515": channel.Misconfigured, "5.1.8": channel.Misconfigured,
		"5.6.3": channel.Misconfigured, "5.5.2": channel.Misconfigured,
		"4.4.7": channel.Temporary, "4.7.1": channel.Temporary, "4.3.2": channel.Temporary,
	} {
		if got := statusClass(status); got != want {
			t.Errorf("%q: %v, want %v", status, got, want)
		}
	}
}

func TestComplaintType(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"abuse": "abuse", "Not-Spam (really)": "not-spam", "opt-out-list": "opt-out-list", "": "other",
		"ann@example.com": "other", "a1": "other", strings.Repeat("a", 33): "other",
	} {
		if got := complaintType(fields{"feedback-type": said}); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func FuzzParseFeedback(f *testing.F) {
	v := newVERP(f, returnPath, keyA)
	for name := range feedbackTests {
		f.Add([]byte(feedbackMail(f, name, v.address("c4n7.1"))))
	}
	f.Add([]byte("To: " + v.address("c4n7.1") + "\nContent-Type: message/delivery-status\n\nAction: failed\n"))
	f.Add([]byte("Content-Type: multipart/report; boundary=\"\"\n\n--\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseFeedback(bytes.NewReader(raw), v)
		if err != nil {
			for _, known := range []error{ErrNotFeedback, ErrFeedbackLimit, ErrNoToken, ErrForgedToken} {
				if err == known { //nolint:errorlint // unwrapped: it must hold nothing of the mail
					return
				}
			}
			t.Fatalf("error %v", err)
		}
		if len(got.Receipts) == 0 && got.Kind != UnknownForm || len(got.Receipts) > maxGroups ||
			!bytes.Contains(bytes.ToLower(raw), []byte(sign(keyA, got.MessageID))) {
			t.Fatalf("%+v", got)
		}
		for _, r := range got.Receipts {
			valid := got.Kind == Complaint && r.Code == got.ComplaintType && len(r.Code) <= 32 ||
				got.Kind != Complaint && (r.Code == "" || isStatus(r.Code))
			if !valid || r.MessageID != got.MessageID || r.State == channel.Queued || r.State == 0 {
				t.Errorf("receipt %+v", r)
			}
		}
	})
}

func BenchmarkParseFeedback(b *testing.B) {
	v := newVERP(b, returnPath, keyA)
	mail := feedbackMail(b, "postfix-failed", v.address("c4n7.1"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseFeedback(strings.NewReader(mail), v); err != nil {
			b.Fatal(err)
		}
	}
}
