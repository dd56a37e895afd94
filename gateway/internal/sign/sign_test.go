package sign

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// newRequest is a request with a body and headers, "Name: value" each.
func newRequest(t testing.TB, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	return req
}

func wantAuthorization(t *testing.T, name string, req *http.Request, err error, want string) {
	t.Helper()
	if got := req.Header.Get("Authorization"); err != nil || got != want {
		t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
	}
}

const (
	suiteToken = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeo" +
		"IYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5V" +
		"SXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj" +
		"c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
	unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// The cases of AWS's Signature Version 4 test suite that a request of net/http can have,
// and the example of its documentation.
func TestSigV4(t *testing.T) {
	t.Parallel()
	now := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	const form = "Content-Type: application/x-www-form-urlencoded"
	for name, row := range map[string]struct {
		method, url, body string
		headers           []string
		service, token    string
		signed, signature string
	}{
		"get-vanilla": {
			"GET", "/", "", nil, "", "", "host;x-amz-date",
			"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
		},
		"get-vanilla-query-order-key-case": {
			"GET", "/?Param2=value2&Param1=value1", "", nil, "", "", "host;x-amz-date",
			"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
		},
		"get-vanilla-query-unreserved": {
			"GET", "/?" + unreserved + "=" + unreserved, "", nil, "", "", "host;x-amz-date",
			"9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
		},
		"get-vanilla-utf8-query": {
			"GET", "/?%E1%88%B4=bar", "", nil, "", "", "host;x-amz-date",
			"2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
		},
		"get-unreserved": {
			"GET", "/" + unreserved, "", nil, "", "", "host;x-amz-date",
			"07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
		},
		"get-header-value-trim": {
			"GET", "/", "", []string{"My-Header1:  value1", `My-Header2: "a   b   c"`}, "", "",
			"host;my-header1;my-header2;x-amz-date",
			"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
		},
		"get-header-key-duplicate": {
			"GET", "/", "", []string{"My-Header1: value2", "My-Header1: value2", "My-Header1: value1"}, "", "",
			"host;my-header1;x-amz-date",
			"c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
		},
		"post-vanilla": {
			"POST", "/", "", nil, "", "", "host;x-amz-date",
			"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
		},
		"post-sts-header-before": {
			"POST", "/", "", nil, "", suiteToken, "host;x-amz-date;x-amz-security-token",
			"85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
		},
		"post-x-www-form-urlencoded": {
			"POST", "/", "Param1=value1", []string{form}, "", "", "content-type;host;x-amz-date",
			"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
		},
		"ListUsers": {
			"GET", "/?Action=ListUsers&Version=2010-05-08", "", []string{form + "; charset=utf-8"}, "iam", "",
			"content-type;host;x-amz-date",
			"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
		},
	} {
		settings := map[string]string{
			"key_id": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "region": "us-east-1",
			"service": "service", "token": row.token,
		}
		url := "https://example.amazonaws.com:443" + row.url // the port is not signed
		if row.service != "" {
			settings["service"], url = row.service, "https://iam.amazonaws.com"+row.url
		}
		req := newRequest(t, row.method, url, row.body, append(row.headers, "User-Agent: otpcourier")...)
		err := SigV4(req, []byte(row.body), settings, now.In(time.FixedZone("", 9*60*60)))
		wantAuthorization(t, name, req, err, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/"+
			settings["service"]+"/aws4_request, SignedHeaders="+row.signed+", Signature="+row.signature)
		if req.Header.Get("X-Amz-Date") != "20150830T123600Z" || strings.Contains(req.Host, ":443") {
			t.Errorf("%s: date %q, host %q", name, req.Header.Get("X-Amz-Date"), req.Host)
		}
	}
}

// The examples of Alibaba Cloud's "V3 request structure and signature".
func TestAlibaba(t *testing.T) {
	t.Parallel()
	now := time.Date(2023, 10, 26, 10, 22, 32, 0, time.UTC)
	settings := map[string]string{"key_id": "YourAccessKeyId", "secret": "YourAccessKeySecret"}
	req := newRequest(t, http.MethodPost, "https://ecs.cn-shanghai.aliyuncs.com?RegionId=cn-shanghai&"+
		"ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "",
		"X-Acs-Action: RunInstances", "X-Acs-Version: 2014-05-26", "Accept: application/json")
	err := alibaba(req, nil, settings, now, "3156853299f313e23d1673dc12e1703d")
	wantAuthorization(t, "RunInstances", req, err, "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"+
		"SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"+
		"Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")

	// Each signature has its own nonce.
	nonces := map[string]bool{}
	settings["token"] = "sts"
	for range 3 {
		if err := Alibaba(req, nil, settings, now); err != nil {
			t.Fatal(err)
		}
		nonces[req.Header.Get("X-Acs-Signature-Nonce")] = true
	}
	if len(nonces) != 3 || !strings.Contains(req.Header.Get("Authorization"), ";x-acs-security-token;") {
		t.Errorf("nonces %v; %s", nonces, req.Header.Get("Authorization"))
	}
}

// The example of Tencent Cloud's "Signature v3": as of 2019, and today, with the action
// and a key that is masked by asterisks.
func TestTC3(t *testing.T) {
	t.Parallel()
	const body = `{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`
	const json = "Content-Type: application/json; charset=utf-8"
	stars := strings.Repeat("*", 32)
	for _, row := range []struct {
		id, secret        string
		headers           []string
		signed, signature string
	}{
		{
			"AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", []string{json},
			"content-type;host", "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
		},
		{
			"AKID" + stars, stars, []string{json, "X-TC-Action: DescribeInstances", "X-TC-Version: 2017-03-12"},
			"content-type;host;x-tc-action", "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
		},
	} {
		settings := map[string]string{"key_id": row.id, "secret": row.secret, "service": "cvm", "token": "sts"}
		req := newRequest(t, http.MethodPost, "https://cvm.tencentcloudapi.com/", body, row.headers...)
		err := TC3(req, []byte(body), settings, time.Unix(1551113065, 0))
		wantAuthorization(t, row.signed, req, err, "TC3-HMAC-SHA256 Credential="+row.id+
			"/2019-02-25/cvm/tc3_request, SignedHeaders="+row.signed+", Signature="+row.signature)
		if at := req.Header.Get("X-TC-Timestamp"); at != "1551113065" || req.Header.Get("X-TC-Token") != "sts" {
			t.Errorf("timestamp %q, token %q", at, req.Header.Get("X-TC-Token"))
		}
	}
}

// The signatures that Vonage's client libraries are tested with, those of Python's with
// MD5 and those of PHP's with HMAC.
func TestSorted(t *testing.T) {
	t.Parallel()
	const form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
	const short = "b=2&timestamp=1461605396&a=1"
	const whole = "api_key=fake_api_key&to=14155550100&from=AcmeInc&text=Test+From+Nexmo&type=text&timestamp=1540924779"
	for algorithm, row := range map[string]struct{ parameters, signature string }{
		"md5":         {short, "6AF838EF94998832DBFC29020B564830"},
		"hmac-md5":    {whole, "51CDAFEBB4BBCE9525B195C1617CB8D2"},
		"hmac-sha1":   {whole, "0162AEC64BC183B2E1256545951FE5639DC98020"},
		"hmac-sha256": {whole, "9FEC5EF6D0F2B3D2BB7558B6E4042569823CAB9EA0DD30503472B7B304601975"},
		"hmac-sha512": {whole, "40BD12B9A4B6000AD1138EEFD24FFE9FBD72AEE13C3FA04B32BB69DBC256AD0A" +
			"04A463B1A9AF6660D10F6E1E769EE14B9CFF6A635502E93AFCD0BFAB29F38F87"},
	} {
		settings := map[string]string{
			"parameter": "sig", "algorithm": algorithm, "before": "&", "replace": "_", "encoding": "HEX",
			"key": "71efab63122f1d179f51c46bac838fb5",
		}
		if algorithm == "md5" {
			settings["after"] = "secret"
		}
		want, err := url.ParseQuery(row.parameters + "&sig=" + row.signature)
		if err != nil {
			t.Fatal(err)
		}
		given := row.parameters + "&sig=old" // which is replaced
		req := newRequest(t, http.MethodPost, "https://rest.nexmo.com/sms/json", given, form)
		err = Sorted(req, []byte(given), settings, time.Time{})
		body, _ := io.ReadAll(req.Body)
		if err != nil || string(body) != want.Encode() || req.ContentLength != int64(len(body)) {
			t.Errorf("%s: %v\n got %s\nwant %s", algorithm, err, body, want.Encode())
		}
		req = newRequest(t, http.MethodGet, "https://rest.nexmo.com/sms/json?"+given, "")
		if err := Sorted(req, nil, settings, time.Time{}); err != nil || req.URL.RawQuery != want.Encode() {
			t.Errorf("%s: %v\n got %s\nwant %s", algorithm, err, req.URL.RawQuery, want.Encode())
		}
	}
}

// What is signed: the order is by name, and no value ends another.
func TestSortedText(t *testing.T) {
	t.Parallel()
	req := newRequest(t, http.MethodGet, "https://h/?a-b=2&a=x%26y%3Dz&b=2&b=1&a1=+", "")
	settings := map[string]string{"before": "<", "after": ">", "replace": "_"}
	if got, want := sortedText(req.URL.Query(), settings), "<a=x_y_z&a-b=2&a1= &b=1&b=2>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	delete(settings, "replace")
	if got, want := sortedText(req.URL.Query(), settings), "<a=x&y=z&a-b=2&a1= &b=1&b=2>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSortedRefuses(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"parameter": "sig", "algorithm": "hmac-sha256", "key": "secret"}
	for name, row := range map[string]struct {
		body, contentType, setting, value string
		want                              error
	}{
		"JSON":         {`{"a":1}`, "application/json", "", "", errBody},
		"no form":      {"a=%zz", "application/x-www-form-urlencoded", "", "", errParameters},
		"no key":       {"a=1", "application/x-www-form-urlencoded", "key", "", errKey},
		"no algorithm": {"a=1", "application/x-www-form-urlencoded", "algorithm", "sha3", errAlgorithm},
		"no encoding":  {"a=1", "application/x-www-form-urlencoded", "encoding", "hex32", errEncoding},
	} {
		changed := map[string]string{row.setting: row.value}
		for name, value := range settings {
			if name != row.setting {
				changed[name] = value
			}
		}
		req := newRequest(t, http.MethodPost, "https://h/", row.body, "Content-Type: "+row.contentType)
		if err := Sorted(req, []byte(row.body), changed, time.Time{}); err != row.want { //nolint:errorlint // the same
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

// A malformed query is refused, without a word of it.
func TestMalformedQuery(t *testing.T) {
	t.Parallel()
	for name, sign := range clouds {
		req := newRequest(t, http.MethodGet, "https://h/?code=58%2037", "")
		if err := sign(req, nil, map[string]string{}, time.Time{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		req.URL.RawQuery = "code=582037%"
		err := sign(req, nil, map[string]string{}, time.Time{})
		if err == nil || strings.Contains(err.Error(), "582037") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type signer = func(*http.Request, []byte, map[string]string, time.Time) error

var clouds = map[string]signer{"sigv4": SigV4, "alibaba": Alibaba, "tc3": TC3}

// A request is signed without a panic, shows no secret, and its signature depends on
// the body, the query and the time alone.
func FuzzSign(f *testing.F) {
	f.Add("POST", "/", "", "a=1&b=2", "x-amz-x", "v")
	f.Add("GET", "/v2/a%20b/%E1%88%B4", "b=2&a=%26&a=1", "", "X-Acs-Action", "  a  b ")
	f.Add("GET", "//", "%zz", "=&=", "X-Tc-Action", "Ä")
	f.Fuzz(func(t *testing.T, method, path, query, body, header, value string) {
		req, err := http.NewRequestWithContext(context.Background(), method, "https://h"+path, nil)
		if err != nil {
			return
		}
		req.URL.RawQuery = query
		req.Header.Set(header, value)
		settings := map[string]string{
			"key_id": "id", "secret": "s3cr3t-0f-fuzz", "key": "s3cr3t-0f-fuzz", "region": "r", "service": "s",
			"parameter": "sig", "algorithm": "hmac-sha256",
		}
		for name, sign := range map[string]signer{"sigv4": SigV4, "tc3": TC3, "sorted": Sorted, "alibaba": Alibaba} {
			one, two := req.Clone(t.Context()), req.Clone(t.Context())
			err := sign(one, []byte(body), settings, time.Unix(1, 0))
			again := sign(two, []byte(body), settings, time.Unix(1, 0))
			if (err == nil) != (again == nil) {
				t.Fatalf("%s: %v, then %v", name, err, again)
			}
			if err != nil {
				continue
			}
			shown := one.Header.Get("Authorization") + one.URL.RawQuery
			if name != "alibaba" && shown != two.Header.Get("Authorization")+two.URL.RawQuery {
				t.Errorf("%s: two signatures of one request", name)
			}
			if strings.Contains(shown, "s3cr3t-0f-fuzz") && !strings.Contains(query, "s3cr3t") {
				t.Errorf("%s: the secret is shown: %s", name, shown)
			}
			// Signing what is signed changes nothing: it was sent as it was signed.
			if err := sign(one, []byte(body), settings, time.Unix(1, 0)); err != nil {
				t.Errorf("%s: %v of a signed request", name, err)
			}
			if again := one.Header.Get("Authorization") + one.URL.RawQuery; name != "alibaba" && again != shown {
				t.Errorf("%s: %q, signed again %q", name, shown, again)
			}
		}
	})
}
