package authenticator_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// An expected file is what testdata/expect.json says of one.
type expected struct {
	File, Key, Password, Error string
	Keys                       []struct {
		Serial, Kind, Hash, Secret string
		Code                       *string // by oathtool, at the beginning of 2026 or at the counter
		Digits, Period             int
		Counter                    uint64
	}
	Taken, Skipped []string
}

func readExpected(t testing.TB) (e map[string]expected) {
	t.Helper()
	readJSON(t, "expect.json", &e)
	return e
}

// begin2026 is when the codes of expect.json were made.
const begin2026 = 1767225600

// TestSeedFiles reads each PSKC file: its keys, whose first codes oathtool made, or its
// error.
func TestSeedFiles(t *testing.T) {
	t.Parallel()
	for name, want := range readExpected(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, skipped, err := readPSKC(t, name, want, false)
			if want.Error != "" {
				refusedFile(t, err, want.Error, len(keys)+len(skipped))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var taken, left []string
			for _, k := range keys {
				taken = append(taken, k.Serial)
			}
			for _, s := range skipped {
				left = append(left, s.ID)
				if s.Reason == "" || s.Serial != s.ID {
					t.Errorf("%+v", s)
				}
			}
			if want.Taken != nil && (!slices.Equal(taken, want.Taken) || !slices.Equal(left, want.Skipped)) {
				t.Errorf("taken %v, skipped %v", taken, skipped)
			}
			for i, w := range want.Keys {
				k := keys[i]
				d := device{secret: k.Secret, digits: k.Digits, hash: k.Hash}
				kind, step := "hotp", k.Moving
				if !k.Counter {
					kind, step = "totp", uint64(begin2026/int64(k.Period/time.Second))
				}
				if k.Serial != w.Serial || kind != w.Kind || hex.EncodeToString(k.Secret) != w.Secret ||
					k.Digits != w.Digits ||
					k.Hash != hashOf(t, w.Hash) || int(k.Period/time.Second) != w.Period || k.Moving != w.Counter ||
					k.App {
					t.Errorf("%+v, want %+v", k, w)
				}
				if w.Code != nil && d.at(step) != *w.Code {
					t.Errorf("%s: code %s, oathtool's is %s", k.Serial, d.at(step), *w.Code)
				}
			}
			if len(keys) != max(len(want.Keys), len(want.Taken)) {
				t.Errorf("%d keys", len(keys))
			}
		})
	}
}

func readPSKC(t testing.TB, name string, want expected, withoutMAC bool) ([]authenticator.Key, []authenticator.Skipped,
	error) {
	t.Helper()
	if want.File != "" {
		name = want.File
	}
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(want.Key)
	if err != nil {
		t.Fatal(err)
	}
	return authenticator.ReadPSKC(bytes.NewReader(b),
		authenticator.PSKC{Key: key, Password: want.Password, DangerouslyWithoutMAC: withoutMAC})
}

// refusedFile wants an error that says text, and nothing read.
func refusedFile(t testing.TB, err error, text string, read int) {
	t.Helper()
	if !errors.Is(err, otp.ErrInvalidRequest) || !strings.Contains(err.Error(), text) || read != 0 {
		t.Errorf("%v, %d entries, want an error of %q and none", err, read, text)
	}
}

func TestPSKCWithoutMAC(t *testing.T) {
	t.Parallel()
	keys, _, err := readPSKC(t, "no-mac.pskcxml", readExpected(t)["no-mac.pskcxml"], true)
	if err != nil || len(keys) != 4 ||
		hex.EncodeToString(keys[0].Secret) != "2d8e9d9be51ec703e8e72efc0948b15028804101" {
		t.Errorf("%v, %v", keys, err)
	}
}

// TestPSKCSigned: a signature is not looked at.
func TestPSKCSigned(t *testing.T) {
	t.Parallel()
	if keys, _, err := readPSKC(t, "signed.pskcxml", expected{}, false); err != nil || len(keys) != 4 {
		t.Errorf("%v, %v", keys, err)
	}
}

// container is a file of one TOTP key, with one part replaced.
func container(old, new string) string {
	const file = `<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"><KeyPackage><DeviceInfo>` +
		`<Manufacturer>Acme</Manufacturer><SerialNo>S1</SerialNo><Model>M</Model></DeviceInfo>` +
		`<Key Id="K1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp"><AlgorithmParameters>` +
		`<ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters><Data><Secret><PlainValue>` +
		`MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret><TimeInterval><PlainValue>30</PlainValue></TimeInterval>` +
		`</Data><UserId>ann</UserId><Policy/></Key></KeyPackage></KeyContainer>`
	return strings.Replace(file, old, new, 1)
}

// TestPSKCFields reads what a key may have.
func TestPSKCFields(t *testing.T) {
	t.Parallel()
	text := container("<Policy/>",
		`<Policy><StartDate>2026-01-01T00:00:00Z</StartDate><ExpiryDate>2030-01-01</ExpiryDate>`+
			`<KeyUsage>OTP</KeyUsage></Policy>`)
	text = strings.Replace(text, "</Model>", "</Model><ExpiryDate>2029-06-01T00:00:00+02:00</ExpiryDate>", 1)
	text = strings.Replace(text, "</TimeInterval>", "</TimeInterval><TimeDrift><PlainValue>-4</PlainValue></TimeDrift>",
		1)
	keys, _, err := authenticator.ReadPSKC(strings.NewReader(text), authenticator.PSKC{})
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	k := keys[0]
	if k.Serial != "S1" || k.Manufacturer != "Acme" || k.Model != "M" || k.User != "ann" || k.Drift != -4 ||
		!k.Start.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) ||
		!k.Expires.Equal(time.Date(2029, 5, 31, 22, 0, 0, 0, time.UTC)) {
		t.Errorf("%#v %v %v %v %v", k, k.Drift, k.User, k.Start, k.Expires)
	}
}

// TestPSKCBad: what is wrong fails the file, and the error names the key but no secret.
func TestPSKCBad(t *testing.T) {
	t.Parallel()
	const secret = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="
	entity := `<!DOCTYPE x [<!ENTITY a "` + strings.Repeat("A", 100) + `"><!ENTITY b "&a;&a;&a;&a;">]>`
	for want, text := range map[string]string{
		"EOF":                "",
		"XML":                "not XML",
		"root":               `<html/>`,
		"more than one root": container("", "") + "<KeyContainer/>",
		"invalid character":  strings.Replace(entity+container("S1", "&b;"), "x", "x", 1),
		"is empty":           container("<PlainValue>"+secret+"</PlainValue>", "<PlainValue></PlainValue>"),
		"base64":             container(secret, "MTIz*"),
		"over and over":      container(secret, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
		`key "K1" of "S1"`:   container(">30<", ">121<"),
		"1 to 120":           container(">30<", ">0<"),
		"not a number":       container(">30<", ">thirty<"),
		"is not a date":      container("<Policy/>", "<Policy><ExpiryDate>tomorrow</ExpiryDate></Policy>"),
		"expires before": container("<Policy/>",
			"<Policy><StartDate>2030-01-01</StartDate><ExpiryDate>2029-01-01</ExpiryDate></Policy>"),
		"twice": strings.Replace(container("", ""), "</KeyPackage>", "</KeyPackage>"+
			between(container("", ""), "<KeyPackage>", "</KeyPackage>"), 1),
		"no key": strings.Replace(container("", ""), between(container("", ""), "<KeyPackage>",
			"</KeyPackage>"), "", 1),
		"certificate": container("<KeyPackage>", "<EncryptionKey><X509Data/></EncryptionKey><KeyPackage>"),
		"2000000":     container("<KeyPackage>", pbkdf2("2000001", "")+"<KeyPackage>"),
		"salt": container("<KeyPackage>", strings.Replace(pbkdf2("1000", ""), "AAECAwQFBgc=", "", 1)+
			"<KeyPackage>"),
		"PRF": container("<KeyPackage>", pbkdf2("1000", "<PRF Algorithm=\"#hmac-md5\"/>")+
			"<KeyPackage>"),
		"camellia128-cbc": container("<PlainValue>"+secret+"</PlainValue>",
			sealed("http://www.w3.org/2001/04/xmldsig-more#camellia128-cbc")),
		"MAC": container("<KeyPackage>", `<MACMethod Algorithm="urn:crc32"/><KeyPackage>`),
		"a pre-shared key": container("<PlainValue>"+secret+"</PlainValue>",
			sealed("http://www.w3.org/2001/04/xmlenc#aes128-cbc")),
		"2^62": strings.NewReplacer(":totp", ":hotp", "TimeInterval", "Counter", ">30<",
			">9223372036854775807<").Replace(container("", "")),
		"off by more than 1000": container("</TimeInterval>",
			"</TimeInterval><TimeDrift><PlainValue>2000</PlainValue></TimeDrift>"),
	} {
		o := authenticator.PSKC{Password: "secret password"}
		if strings.Contains(text, "camellia") {
			o = authenticator.PSKC{Key: secretOf(1)[:16], DangerouslyWithoutMAC: true}
		}
		keys, skipped, err := authenticator.ReadPSKC(strings.NewReader(text), o)
		refusedFile(t, err, want, len(keys)+len(skipped))
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "1234567890") ||
			strings.Contains(err.Error(), "secret password")) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

// between returns s from begin to end, both included.
func between(s, begin, end string) string {
	from, to := strings.Index(s, begin), strings.Index(s, end)
	return s[from : to+len(end)]
}

func pbkdf2(count, prf string) string {
	return `<EncryptionKey><DerivedKey><KeyDerivationMethod Algorithm="http://www.rsasecurity.com/rsalabs/pkcs/` +
		`schemas/pkcs-5v2-0#pbkdf2"><PBKDF2-params><Salt><Specified>AAECAwQFBgc=</Specified></Salt><IterationCount>` +
		count +
		`</IterationCount><KeyLength>16</KeyLength>` + prf +
		`</PBKDF2-params></KeyDerivationMethod></DerivedKey></EncryptionKey>`
}

func sealed(algorithm string) string {
	return `<EncryptedValue><EncryptionMethod Algorithm="` + algorithm + `"/><CipherData><CipherValue>` +
		strings.Repeat("QUFB", 16) + `</CipherValue></CipherData></EncryptedValue>`
}

// TestPSKCPolicies: a policy that is not understood skips the key (RFC 6030 §5).
func TestPSKCPolicies(t *testing.T) {
	t.Parallel()
	for p, taken := range map[string]bool{
		`<Policy/>`: true,
		`<Policy><KeyUsage>OTP</KeyUsage><KeyUsage>CR</KeyUsage></Policy>`:              true,
		`<Policy><KeyUsage>CR</KeyUsage></Policy>`:                                      false,
		`<Policy><PINPolicy PINUsageMode="Local"/></Policy>`:                            true,
		`<Policy><PINPolicy PINUsageMode="Append"/></Policy>`:                           false,
		`<Policy><NumberOfTransactions>5</NumberOfTransactions></Policy>`:               false,
		`<Policy><x:Fence xmlns:x="urn:x">1</x:Fence><KeyUsage>OTP</KeyUsage></Policy>`: false,
	} {
		keys, skipped, err := authenticator.ReadPSKC(strings.NewReader(container("<Policy/>", p)), authenticator.PSKC{})
		if err != nil || len(keys) == 1 != taken || len(skipped) == 1 == taken {
			t.Errorf("%s: %v, %v, %v", p, keys, skipped, err)
		}
	}
}

// TestPSKCLong: a file beyond the limit is refused, however it goes on.
func TestPSKCLong(t *testing.T) {
	t.Parallel()
	endless := &endlessReader{text: "<KeyContainer>" + strings.Repeat(" ", 4096)}
	keys, _, err := authenticator.ReadPSKC(endless, authenticator.PSKC{})
	refusedFile(t, err, "32 MiB", len(keys))
	deep := strings.Repeat("<a>", 200_000)
	keys, _, err = authenticator.ReadPSKC(strings.NewReader(container("<Policy/>", deep)), authenticator.PSKC{})
	refusedFile(t, err, "XML", len(keys))
	rows, _, err := authenticator.ReadCSV(&endlessReader{text: "# comment\n"})
	refusedFile(t, err, "32 MiB", len(rows))
}

type endlessReader struct {
	text string
	n    int
}

func (e *endlessReader) Read(b []byte) (int, error) {
	n := copy(b, e.text[e.n:])
	if e.n += n; e.n == len(e.text) {
		e.n = 0
		if strings.HasPrefix(e.text, "<KeyContainer>") {
			e.text = " " + e.text[len("<KeyContainer>"):]
		}
	}
	return n, nil
}

// TestCSV reads each form of seed file.
func TestCSV(t *testing.T) {
	t.Parallel()
	fob, _ := hex.DecodeString("2d8e9d9be51ec703e8e72efc0948b15028804101")
	key, _ := hex.DecodeString("46da08eed3fa18919b9fbdec2574cfb3a26325ac")
	totp := authenticator.Key{Secret: fob, Digits: 6, Period: time.Minute, Serial: "OC0000000001"}
	hotp := authenticator.Key{Secret: key, Counter: true, Digits: 6, Serial: "OC0000000003"}
	entra := totp
	entra.User, entra.Manufacturer, entra.Model = "ann@example.com", "Example Tokens", "Fob TOTP"
	yubico := hotp
	yubico.Serial, yubico.Manufacturer = "10000003", "Yubico"
	traditional := yubico
	traditional.Serial = "2025-01-01 10:00 slot 1"
	for name, want := range map[string]struct {
		keys    []authenticator.Key
		skipped int
	}{
		"entra.csv":              {[]authenticator.Key{entra}, 0},
		"entra-bom-lower.csv":    {[]authenticator.Key{entra}, 0},
		"oath.csv":               {[]authenticator.Key{totp, hotp}, 0},
		"ping-hotp.csv":          {[]authenticator.Key{hotp}, 0},
		"yubico.csv":             {[]authenticator.Key{yubico}, 1},
		"yubico-traditional.csv": {[]authenticator.Key{traditional}, 1},
	} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for form, text := range map[string]string{"as it is": string(b), "CRLF": strings.ReplaceAll(string(b), "\n",
			"\r\n"),
			"semicolons": strings.ReplaceAll(string(b), ",", ";")} {
			keys, skipped, err := authenticator.ReadCSV(strings.NewReader(text))
			if err != nil || len(skipped) != want.skipped || !slices.EqualFunc(keys, want.keys, sameKey) {
				t.Errorf("%s, %s: %v, %v, %v", name, form, keys, skipped, err)
			}
		}
	}
}

func sameKey(a, b authenticator.Key) bool {
	show := func(k authenticator.Key) string {
		type bare authenticator.Key
		return fmt.Sprintf("%+v", bare(k))
	}
	return show(a) == show(b)
}

// TestCSVForms: each field of the OATH form.
func TestCSVForms(t *testing.T) {
	t.Parallel()
	const seed = "00112233445566778899aabbccddeeff"
	for row, want := range map[string]authenticator.Key{
		"a," + seed:                     {Counter: true, Digits: 6},
		"a," + seed + ",hotp":           {Counter: true, Digits: 6},
		"a," + seed + ",HOTP,8,17":      {Counter: true, Digits: 8, Moving: 17},
		"a," + seed + ",,,":             {Counter: true, Digits: 6},
		"a," + seed + ",12":             {Counter: true, Digits: 6, Moving: 12},
		"a," + seed + ",totp":           {Digits: 6, Period: 30 * time.Second},
		" a , " + seed + " , TOTP,7,60": {Digits: 7, Period: time.Minute},
		"a," + strings.ToUpper(seed):    {Counter: true, Digits: 6},
	} {
		want.Serial = "a"
		want.Secret, _ = hex.DecodeString(seed)
		keys, _, err := authenticator.ReadCSV(strings.NewReader(row))
		if err != nil || len(keys) != 1 || !sameKey(keys[0], want) {
			t.Errorf("%s: %v, %v", row, keys, err)
		}
	}
}

// TestCSVBad: what is wrong fails the file, and the error names the line but no seed.
func TestCSVBad(t *testing.T) {
	t.Parallel()
	const seed, other = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
	const entra = "upn,serial number,secret key,time interval,manufacturer,model\n"
	for _, row := range []struct{ text, want string }{
		{"", "no token"},
		{"# nothing\n\n", "no token"},
		{entra, "no token"},
		{"a,zz", "line 1: the seed is not hexadecimal"},
		{"a," + seed + "\nb,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "line 2: the seed is not hexadecimal"},
		{"a,00112233", "128"},
		{"a,", "empty"},
		{"a", "empty"},
		{"," + seed, "no serial"},
		{"1.0E+12," + seed, "spreadsheet"},
		{`"2,60022E+12",` + seed, "spreadsheet"},
		{"a,1.12233445566778E+29", "spreadsheet"},
		{"a," + seed + "\nb," + other + "\na,00112233445566778899aabbccddee00",
			"line 3: the serial number is that of line 1"},
		{"a," + seed + "\nb," + seed, "line 2: the seed is that of line 1"},
		{"a,00000000000000000000000000000000", "over and over"},
		{"a," + seed + ",ocra", "type"},
		{"a," + seed + ",totp,5", "digits"},
		{"a," + seed + ",totp,six", "digits"},
		{"a," + seed + ",totp,6,600", "120"},
		{"a," + seed + ",totp,6,0", "120"},
		{"a," + seed + ",hotp,6,-1", "counter"},
		{"a," + seed + ",hotp,6,1,2", "fields"},
		{entra + "a@b,1," + seed + ",30,X,Y", "line 2: the secret is not base32"},
		{entra + "a@b,1,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,soon,X,Y", "time interval"},
		{entra + "a@b,1,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,300,X,Y", "120"},
		{"OATH-HOTP,t,1,,,zz", "not hexadecimal"},
		{"OATH-HOTP,t,1,,," + seed + ",,,0,0,0,7", "digits"},
		{"a,\"" + seed, "line 1"},
	} {
		keys, skipped, err := authenticator.ReadCSV(strings.NewReader(row.text))
		refusedFile(t, err, row.want, len(keys)+len(skipped))
		if err != nil && strings.Contains(err.Error(), seed[:8]) {
			t.Errorf("%q: the error shows a seed: %v", row.text, err)
		}
	}
}

// TestURIs: what Enroll hands out is what apps read, and ParseURI reads it back.
func TestURIs(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for _, v := range readVectors(t).URI {
		c := newRig(t).cfg
		c.Issuer = v.Issuer
		s, err := authenticator.New(c)
		if v.Error == "Issuer" {
			if err == nil || !strings.Contains(err.Error(), "Config.Issuer") {
				t.Errorf("%q: %v", v.Issuer, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		k := authenticator.Key{Secret: secret, Digits: max(v.Digits, 6), App: true, Period: 30 * time.Second}
		if v.Kind == "hotp" {
			k.Counter, k.Moving, k.Period = true, v.Counter, 0
		}
		if v.Hash != "" {
			k.Hash = hashOf(t, v.Hash)
		}
		e, err := s.Enroll(t.Context(), authenticator.Request{Subject: "ann", Account: v.Account, Key: &k})
		if v.Error != "" {
			var refused *otp.Error
			if !errors.As(err, &refused) || refused.Field != v.Error {
				t.Errorf("%q: %v", v.Account, err)
			}
			continue
		}
		if err != nil || e.URI != v.URI || e.Secret != "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ" {
			t.Errorf("%v\n got %s\nwant %s\n%s", err, e.URI, v.URI, e.Secret)
		}
		k.User = v.Account
		if back, err := authenticator.ParseURI(e.URI); err != nil || !sameKey(back, k) {
			t.Errorf("%s reads back as %v, %v", e.URI, back, err)
		}
	}
}

// TestParseURI: what other programs write, and what is refused.
func TestParseURI(t *testing.T) {
	t.Parallel()
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for text, want := range map[string]authenticator.Key{
		"otpauth://totp/ann?secret=" + secret:                                           {User: "ann"},
		"OTPAUTH://TOTP/Acme:%20ann?issuer=Acme&secret=" + strings.ToLower(secret):      {User: "ann"},
		"otpauth://totp/Acme%3Aann?secret=GEZD+GNBV-GY3T%20QOJQ+GEZDGNBVGY3TQOJQ%3D%3D": {User: "ann"},
		"otpauth://totp/?secret=" + secret + "&algorithm=sha256&digits=8&period=60": {Hash: oath.SHA256, Digits: 8,
			Period: time.Minute},
		"otpauth://totp/?secret=" + secret + "&algorithm=HmacSHA512&image=https://x": {Hash: oath.SHA512},
		"otpauth://hotp/ann?secret=" + secret + "&counter=7&algorithm=SHA-1": {Counter: true, Moving: 7,
			User: "ann"},
	} {
		want.App, want.Secret = true, []byte("12345678901234567890")
		if want.Digits == 0 {
			want.Digits = 6
		}
		if !want.Counter && want.Period == 0 {
			want.Period = 30 * time.Second
		}
		if k, err := authenticator.ParseURI(text); err != nil || !sameKey(k, want) {
			t.Errorf("%s: %v, %v", text, k, err)
		}
	}
	for text, want := range map[string]string{
		"":                                   "otpauth",
		"https://example.com/" + secret:      "otpauth",
		"otpauth://steam/x?secret=" + secret: "neither",
		"otpauth://totp/x?secret=" + secret + "&encoder=steam": "encoder",
		"otpauth://totp/x":                                                 "empty",
		"otpauth://totp/x?secret=":                                         "empty",
		"otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ":                         "128",
		"otpauth://totp/x?secret=1!":                                       "base32",
		"otpauth://totp/x?secret=" + secret + "&secret=AAAA":               "twice",
		"otpauth://totp/x?secret=" + secret + "&algorithm=MD5":             "algorithm",
		"otpauth://totp/x?secret=" + secret + "&digits=5":                  "digits",
		"otpauth://totp/x?secret=" + secret + "&digits=9":                  "digits",
		"otpauth://totp/x?secret=" + secret + "&digits=six":                "digits",
		"otpauth://totp/x?secret=" + secret + "&period=0":                  "120",
		"otpauth://totp/x?secret=" + secret + "&period=121":                "120",
		"otpauth://totp/x?secret=" + secret + "&period=-30":                "period",
		"otpauth://hotp/x?secret=" + secret:                                "counter",
		"otpauth://totp/x?secret=" + secret + "&a=%zz":                     "parameters",
		"otpauth://totp/%zz?secret=" + secret:                              "otpauth",
		readVectors(t).Migration.URI:                                       "phone to phone",
		"otpauth://totp/x?secret=" + secret + strings.Repeat("&a=b", 1500): "4096",
	} {
		_, err := authenticator.ParseURI(text)
		if !errors.Is(err, otp.ErrInvalidRequest) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), secret[:16]) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}
