package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/smpp/internal/hostile"
)

func TestReader(t *testing.T) {
	t.Parallel()
	var stream []byte
	var want []Frame
	for i, n := range []int{0, 1, 300, MaxFrame - HeaderLen, readSize, 0, readSize - HeaderLen} {
		body := bytes.Repeat([]byte{byte(i)}, n)
		at := len(stream)
		stream = append(begin(stream, pdu.DeliverSmID, 7, uint32(i)), body...)
		stream = finish(stream, at)
		want = append(want, Frame{Header{pdu.DeliverSmID, 7, uint32(i)}, body})
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "halves": iotest.HalfReader(bytes.NewReader(stream)),
		"octets":        iotest.OneByteReader(bytes.NewReader(stream)),
		"data with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		reads := 0
		in := NewReader(readerFunc(func(p []byte) (int, error) {
			reads++
			return r.Read(p)
		}))
		for i, w := range want {
			before, waits := reads, in.Waits()
			f, err := in.Next()
			if waits != (reads > before) {
				t.Errorf("%s: frame %d waits %v, and took %d reads", name, i, waits, reads-before)
			}
			if err != nil || f.Header != w.Header || !bytes.Equal(f.Body, w.Body) {
				t.Fatalf("%s: frame %d is %v with %d octets, %v", name, i, f.Header, len(f.Body), err)
			}
		}
		if _, err := in.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end: %v, want EOF", name, err)
		}
	}
}

// TestReaderLimit: a frame longer than Limit is skipped, and not held in memory.
func TestReaderLimit(t *testing.T) {
	t.Parallel()
	var stream []byte
	sizes := []int{100, 101, readSize + 1, MaxFrame, 100}
	for i, n := range sizes {
		at := len(stream)
		stream = begin(stream, pdu.SubmitSmID, 0, uint32(i))
		stream = finish(append(stream, make([]byte, n-HeaderLen)...), at)
	}
	in := NewReader(iotest.HalfReader(bytes.NewReader(stream)))
	in.Limit = 100
	for i, n := range sizes {
		f, err := in.Next()
		if err != nil || f.Seq != uint32(i) || in.Skipped() != (n > 100) || (n <= 100) != (len(f.Body) == n-HeaderLen) {
			t.Errorf("frame of %d: %+v, %d octets, skipped %v, %v", n, f.Header, len(f.Body), in.Skipped(), err)
		}
	}
	if len(in.buf) != readSize {
		t.Errorf("%d octets are held", len(in.buf))
	}
	in = NewReader(bytes.NewReader(stream[:250]))
	in.Limit = 100
	for range 2 {
		_, _ = in.Next()
	}
	if _, err := in.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReaderLengths(t *testing.T) {
	t.Parallel()
	for length, want := range map[uint32]error{
		0: ErrFrameLength, 8: ErrFrameLength, 15: ErrFrameLength, MaxFrame + 1: ErrFrameLength,
		0x7FFFFFFF: ErrFrameLength, 0xFFFFFFFF: ErrFrameLength,
		16: nil, 17: io.ErrUnexpectedEOF, MaxFrame: io.ErrUnexpectedEOF,
	} {
		header := AppendEmpty(nil, pdu.EnquireLinkID, 0, 1)
		binary.BigEndian.PutUint32(header, length)
		in := NewReader(bytes.NewReader(header))
		if _, err := in.Next(); !errors.Is(err, want) {
			t.Errorf("length %#x: %v, want %v", length, err, want)
		}
		if len(in.buf) > MaxFrame {
			t.Errorf("length %#x: buffer has grown to %d", length, len(in.buf))
		}
	}
}

func TestMessageRoundTrip(t *testing.T) {
	t.Parallel()
	want := &Message{
		ServiceType: "OTP", Source: Addr{5, 0, "MyBank"}, Dest: Addr{1, 1, "447911123456"}, EsmClass: EsmUDHI,
		ProtocolID: 1, Priority: 2, Schedule: "000000000100000R", Validity: "000000001000000R", Registered: 1,
		Replace: 1, DataCoding: 8, DefaultMsgID: 3, Short: []byte("\x05\x00\x03\x01\x02\x01text"),
		TLVs: TLVs{}.Append(pdu.TagUserMessageReference, []byte{0, 7}),
	}
	sent := *want
	sent.UDH, sent.Short = want.Short[:6], want.Short[6:]
	b := AppendMessage(nil, pdu.SubmitSmID, 9, &sent)
	sent.Short, sent.Text = nil, string(sent.Short)
	if other := AppendMessage(nil, pdu.SubmitSmID, 9, &sent); !bytes.Equal(other, b) {
		t.Errorf("as Text  %x\nas Short %x", other, b)
	}
	f, err := NewReader(bytes.NewReader(b)).Next()
	if err != nil || f.Header != (Header{pdu.SubmitSmID, 0, 9}) {
		t.Fatalf("frame is %+v, %v", f, err)
	}
	got, err := DecodeMessage(f.Body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	udh, text := got.Payload()
	if !slices.Equal(udh, sent.UDH) || string(text) != "text" {
		t.Errorf("payload is %x, %q", udh, text)
	}
	for n := range len(f.Body) - len(want.TLVs) {
		if _, err := DecodeMessage(f.Body[:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("first %d octets: %v, want ErrTruncated", n, err)
		}
	}
}

// The library's own codec is stricter than ours and must agree where it can.
func TestAgainstCodec(t *testing.T) {
	t.Parallel()
	m := &Message{
		Source: Addr{5, 0, "MyBank"}, Dest: Addr{1, 1, "447911123456"}, Registered: 1,
		Short: []byte("Your code is 482910"),
	}
	var theirs pdu.SubmitSm
	if err := theirs.UnmarshalBinary(AppendMessage(nil, pdu.SubmitSmID, 1, m)[HeaderLen:]); err != nil {
		t.Fatal(err)
	}
	if theirs.SourceAddr != "MyBank" || theirs.DestinationAddr != "447911123456" ||
		theirs.ShortMessage != "Your code is 482910" ||
		theirs.RegisteredDelivery.Byte() != 1 || theirs.SourceAddrTon != 5 {
		t.Errorf("pdu reads %+v", theirs)
	}
	body, err := theirs.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if ours := AppendMessage(nil, pdu.SubmitSmID, 1, m)[HeaderLen:]; !bytes.Equal(ours, body) {
		t.Errorf("ours   %x\ntheirs %x", ours, body)
	}
}

// What pdu refuses, SMSCs send.
func TestDecodeIsLenient(t *testing.T) {
	t.Parallel()
	long := &Message{
		Source: Addr{1, 1, "123456789012345678901"}, Schedule: "odd", Validity: "2026-02-12 14:30:00",
		Short: bytes.Repeat([]byte("a"), 255), TLVs: TLVs{}.Append(pdu.TagAlertOnMessageDeliv, nil),
	}
	body := AppendMessage(nil, pdu.DeliverSmID, 1, long)[HeaderLen:]
	for _, tail := range []string{"", "\x00", "\x00\x00\x00\x00\x00", "\x04\x27\x00\x09\x02"} {
		m, err := DecodeMessage(append(slices.Clone(body), tail...))
		if err != nil || m.Source.Digits != long.Source.Digits || len(m.Short) != 255 {
			t.Errorf("tail %x: %+v, %v", tail, m, err)
		}
		if _, ok := m.TLVs.Get(pdu.TagMessageState); ok {
			t.Errorf("tail %x: message_state is there", tail)
		}
		if v, ok := m.TLVs.Get(pdu.TagAlertOnMessageDeliv); !ok || len(v) != 0 {
			t.Errorf("tail %x: zero-length parameter is lost", tail)
		}
	}
	for body, want := range map[string]string{"": "", "\x00": "", "abc": "abc", "abc\x00": "abc",
		"abc\x00\x00\x1e": "abc"} {
		if got := DecodeID([]byte(body)); got != want {
			t.Errorf("DecodeID(%q) = %q", body, got)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for field, m := range map[string]Message{
		"":                       {Short: make([]byte, 254), Dest: Addr{Digits: strings.Repeat("1", 20)}},
		"short_message":          {UDH: make([]byte, 6), Short: make([]byte, 249)},
		"destination_addr":       {Dest: Addr{Digits: strings.Repeat("1", 21)}},
		"source_addr":            {Source: Addr{Digits: "a\x00b"}},
		"service_type":           {ServiceType: "sixsix"},
		"validity_period":        {Validity: "00000000100000000R"},
		"schedule_delivery_time": {Schedule: "\x00"},
	} {
		err := m.Check()
		if (err == nil) != (field == "") || err != nil && !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestBindRoundTrip(t *testing.T) {
	t.Parallel()
	want := Bind{"bank", "secret", "OTP", Version34}
	b, err := AppendBind(nil, pdu.BindTransceiverID, 1, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeBind(b[HeaderLen:])
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCancelRoundTrip(t *testing.T) {
	t.Parallel()
	want := Cancel{"OTP", "id-1", Addr{5, 0, "MyBank"}, Addr{1, 1, "447911123456"}}
	b := AppendCancel(nil, 7, want)
	octets := "\x00\x00\x00\x31\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x07" +
		"OTP\x00id-1\x00\x05\x00MyBank\x00\x01\x01447911123456\x00"
	if string(b) != octets {
		t.Errorf("octets are %q", b)
	}
	got, err := DecodeCancel(b[HeaderLen:])
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for n := HeaderLen; n < len(b); n++ {
		if _, err := DecodeCancel(b[HeaderLen:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut off at %d: %v", n, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(AppendEmpty(nil, pdu.EnquireLinkID, 0, 1))
	f.Add(AppendID(AppendEmpty(nil, pdu.UnbindID, 0, 1), pdu.SubmitSmRespID, 0x45, 2, "id"))
	for _, length := range []uint32{16, 17, MaxFrame} {
		f.Add(binary.BigEndian.AppendUint32(nil, length))
	}
	for _, h := range hostile.PDUs(f) {
		f.Add(h.Octets)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, octets := NewReader(bytes.NewReader(stream)), NewReader(iotest.OneByteReader(bytes.NewReader(stream)))
		read := 0
		for {
			a, errA := whole.Next()
			b, errB := octets.Next()
			if a.Header != b.Header || !bytes.Equal(a.Body, b.Body) || (errA == nil) != (errB == nil) {
				t.Fatalf("whole: %+v, %v; in octets: %+v, %v", a, errA, b, errB)
			}
			if errA != nil {
				break
			}
			read += HeaderLen + len(a.Body)
		}
		if read > len(stream) || len(whole.buf) > MaxFrame {
			t.Fatalf("read %d of %d octets, buffer of %d", read, len(stream), len(whole.buf))
		}
	})
}

func FuzzPDU(f *testing.F) {
	m := &Message{
		ServiceType: "OTP", Source: Addr{5, 0, "MyBank"}, Dest: Addr{1, 1, "447911123456"}, EsmClass: EsmReceipt,
		Short: []byte("id:1 stat:DELIVRD"), TLVs: TLVs{}.Append(pdu.TagReceiptedMessageID, []byte("1\x00")),
	}
	f.Add(AppendMessage(nil, pdu.DeliverSmID, 1, m)[HeaderLen:])
	f.Add(AppendDataSM(nil, 1, m)[HeaderLen:])
	f.Add(AppendCancel(nil, 1, Cancel{ID: "1", Source: m.Source, Dest: m.Dest})[HeaderLen:])
	f.Add([]byte{})
	for _, h := range hostile.PDUs(f) {
		f.Add(h.Octets[min(HeaderLen, len(h.Octets)):])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if b, err := DecodeBind(body); err == nil && strings.ContainsRune(b.SystemID+b.Password, 0) {
			t.Fatal("a C-string holds a NUL")
		}
		if v, err := DecodeCancel(body); err == nil {
			if again, err := DecodeCancel(AppendCancel(nil, 1, v)[HeaderLen:]); err != nil || v != again {
				t.Fatalf("cancel_sm does not survive: %v", cmp.Diff(v, again))
			}
		}
		if m, err := DecodeDataSM(body); err == nil {
			m.Payload()
			if again, err := DecodeDataSM(AppendDataSM(nil, 1, m)[HeaderLen:]); err != nil || !cmp.Equal(m, again) {
				t.Fatalf("data_sm does not survive: %v", cmp.Diff(m, again))
			}
		}
		m, err := DecodeMessage(body)
		if err != nil {
			return
		}
		m.Payload()
		m.TLVs.String(pdu.TagReceiptedMessageID)
		m.TLVs.Uint8(pdu.TagMessageState)
		again, err := DecodeMessage(AppendMessage(nil, pdu.DeliverSmID, 1, m)[HeaderLen:])
		if err != nil || !cmp.Equal(m, again) {
			t.Fatalf("deliver_sm does not survive: %v", cmp.Diff(m, again))
		}
	})
}

func BenchmarkAppendMessage(b *testing.B) {
	m := &Message{
		Source: Addr{5, 0, "MyBank"}, Dest: Addr{1, 1, "447911123456"}, Registered: 1,
		Validity: "000000000500000R", Short: []byte("Your verification code is 482910. Do not share it."),
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendMessage(buf[:0], pdu.SubmitSmID, 1, m)
	}
}

func TestQueryRoundTrip(t *testing.T) {
	t.Parallel()
	want := Query{"id-1", Addr{5, 0, "MyBank"}}
	b := AppendQuery(nil, 7, want)
	octets := "\x00\x00\x00\x1e\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x07" + "id-1\x00\x05\x00MyBank\x00"
	if string(b) != octets {
		t.Errorf("octets are %q", b)
	}
	if got, err := DecodeQuery(b[HeaderLen:]); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	answer := QueryResp{"id-1", "260212143000000+", 2, 9}
	r := AppendQueryResp(nil, 7, answer)
	if got, err := DecodeQueryResp(r[HeaderLen:]); err != nil || got != answer {
		t.Errorf("got %+v, %v", got, err)
	}
	for n := HeaderLen; n < len(b); n++ {
		if _, err := DecodeQuery(b[HeaderLen:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut off at %d: %v", n, err)
		}
	}
}
