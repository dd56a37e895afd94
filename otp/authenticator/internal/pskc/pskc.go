package pskc

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Options open a container.
type Options struct {
	Key        []byte // pre-shared
	Password   string // PBKDF2 derives the key from it
	WithoutMAC bool   // values in CBC mode may have no MAC
}

// A Key is one HOTP or TOTP key.
type Key struct {
	ID, Serial, Manufacturer, Model, User string

	HOTP     bool
	Hash     int // 0: SHA-1, 1: SHA-256, 2: SHA-512
	Digits   int // 6 to 8
	Interval uint64
	Counter  uint64
	Drift    int64 // steps
	Secret   []byte

	Start, Expires time.Time
}

// Skipped is a key of another kind.
type Skipped struct{ ID, Serial, Reason string }

// An Error describes a fault of a file.
type Error struct {
	Where string // names the key, if the fault is a key's
	Err   error
}

// Error names the key.
func (e *Error) Error() string {
	if e.Where == "" {
		return e.Err.Error()
	}
	return e.Where + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	namespace = "urn:ietf:params:xml:ns:keyprov:pskc"
	maxFile   = 32 << 20
)

// Read reads a container, whole or not at all. Every error is a *[Error], and shows no
// secret.
func Read(r io.Reader, o Options) ([]Key, []Skipped, error) {
	c, err := parse(r)
	if err != nil {
		return nil, nil, &Error{Err: err}
	}
	b, err := newOpener(c, o)
	if err != nil {
		return nil, nil, &Error{Err: err}
	}
	var keys []Key
	var skipped []Skipped
	seen := map[[2]string]bool{}
	for i := range c.Packages {
		device := &c.Packages[i].Device
		for j := range c.Packages[i].Keys {
			x := &c.Packages[i].Keys[j]
			serial := strings.TrimSpace(device.Serial)
			if serial == "" {
				serial = x.ID
			}
			where := fmt.Sprintf("key %.64q of %.64q", x.ID, serial)
			if seen[[2]string{serial, x.ID}] {
				return nil, nil, &Error{where, errors.New("it occurs in the file twice")}
			}
			seen[[2]string{serial, x.ID}] = true
			k, reason, err := b.key(x, device)
			switch {
			case err != nil:
				return nil, nil, &Error{where, err}
			case reason != "":
				skipped = append(skipped, Skipped{x.ID, serial, reason})
			default:
				k.Serial = serial
				keys = append(keys, *k)
			}
		}
	}
	if len(keys)+len(skipped) == 0 {
		return nil, nil, &Error{Err: errors.New("there is no key in the container")}
	}
	return keys, skipped, nil
}

// A counted reader fails if the file is too long.
type counted struct {
	r    io.Reader
	left int
}

var errLong = fmt.Errorf("the file is longer than %d MiB", maxFile>>20)

func (c *counted) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errLong
	}
	n, err := c.r.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// parse reads the XML. The decoder knows only the five entities of XML, so that there
// are none to expand.
func parse(r io.Reader) (*container, error) {
	d := xml.NewDecoder(&counted{r, maxFile})
	var c container
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("it is not XML: %w", err)
	}
	for { // only white space and comments may follow
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is not XML: %w", err)
		}
		if _, more := t.(xml.StartElement); more {
			return nil, errors.New("it is not XML: there is more than one root")
		}
	}
	switch {
	case c.XMLName.Local != "KeyContainer" || c.XMLName.Space != namespace:
		return nil, fmt.Errorf("its root is {%.64s}%.64s, not a KeyContainer of RFC 6030", c.XMLName.Space,
			c.XMLName.Local)
	case c.Version != "1.0":
		return nil, fmt.Errorf("its version is %.16q, not 1.0", c.Version)
	}
	return &c, nil
}

// The elements of a container, as far as they are read.
type (
	container struct {
		XMLName  xml.Name
		Version  string         `xml:"Version,attr"`
		Key      *encryptionKey `xml:"EncryptionKey"`
		MAC      *macMethod     `xml:"MACMethod"`
		Packages []struct {
			Device device `xml:"DeviceInfo"`
			Keys   []key  `xml:"Key"`
		} `xml:"KeyPackage"`
	}
	device struct {
		Manufacturer string `xml:"Manufacturer"`
		Serial       string `xml:"SerialNo"`
		Model        string `xml:"Model"`
		Start        string `xml:"StartDate"`
		Expires      string `xml:"ExpiryDate"`
		User         string `xml:"UserId"`
	}
	encryptionKey struct {
		Name    string    `xml:"KeyName"`
		X509    *struct{} `xml:"X509Data"`
		Derived *struct {
			Method derivation `xml:"KeyDerivationMethod"`
		} `xml:"DerivedKey"`
	}
	derivation struct {
		Algorithm string `xml:"Algorithm,attr"`
		Salt      string `xml:"PBKDF2-params>Salt>Specified"`
		Count     string `xml:"PBKDF2-params>IterationCount"`
		Length    string `xml:"PBKDF2-params>KeyLength"`
		PRF       struct {
			Algorithm string `xml:"Algorithm,attr"`
			Text      string `xml:",chardata"` // python-pskc writes it so
		} `xml:"PBKDF2-params>PRF"`
	}
	macMethod struct {
		Algorithm string     `xml:"Algorithm,attr"`
		Key       *encrypted `xml:"MACKey"`
	}
	encrypted struct {
		Method struct {
			Algorithm string `xml:"Algorithm,attr"`
		} `xml:"EncryptionMethod"`
		Value string `xml:"CipherData>CipherValue"`
	}
	value struct {
		Plain     *string    `xml:"PlainValue"`
		Encrypted *encrypted `xml:"EncryptedValue"`
		MAC       string     `xml:"ValueMAC"`
	}
	key struct {
		ID        string          `xml:"Id,attr"`
		Algorithm string          `xml:"Algorithm,attr"`
		Suite     string          `xml:"AlgorithmParameters>Suite"`
		Response  *responseFormat `xml:"AlgorithmParameters>ResponseFormat"`
		Secret    *value          `xml:"Data>Secret"`
		Counter   *value          `xml:"Data>Counter"`
		Interval  *value          `xml:"Data>TimeInterval"`
		Drift     *value          `xml:"Data>TimeDrift"`
		User      string          `xml:"UserId"`
		Policy    *policy         `xml:"Policy"`
	}
	responseFormat struct {
		Length      string `xml:"Length,attr"`
		Encoding    string `xml:"Encoding,attr"`
		CheckDigits string `xml:"CheckDigits,attr"`
	}
	policy struct {
		Start   string   `xml:"StartDate"`
		Expires string   `xml:"ExpiryDate"`
		Usage   []string `xml:"KeyUsage"`
		Others  []struct {
			XMLName xml.Name
			PINMode string `xml:"PINUsageMode,attr"`
		} `xml:",any"`
	}
)
