package authenticator

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// at returns the i-th field, or "".
func at(row []string, i int) string {
	if i < 0 || i >= len(row) {
		return ""
	}
	return row[i]
}

// key reads a row. If the row is skipped, it returns the reason.
func (r *rows) key(row []string) (k *Key, reason string, err error) {
	first := strings.ToUpper(row[0])
	switch {
	case r.columns != nil:
		k, err = r.entra(row)
	case first == "LOGGING START", first == "YUBICO OTP", first == "STATIC PASSWORD", first == "CHALLENGE-RESPONSE":
		return nil, "it is not an OATH token: " + first, nil
	case first == "OATH-HOTP":
		k, err = yubicoTraditional(row)
	case len(row) >= 6 && digitsOnly(row[0]) && strings.Contains(at(row, 5), "T"): // the sixth is a date
		return yubico(row)
	default:
		k, err = oathRow(row)
	}
	return k, "", err
}

func digitsOnly(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// seed reads a seed in hexadecimal. Its error does not show the seed.
func seed(s string) ([]byte, error) {
	b, err := hex.DecodeString(s)
	switch {
	case spreadsheet(s):
		return nil, errors.New("the seed was changed by a spreadsheet")
	case err != nil:
		return nil, errors.New("the seed is not hexadecimal")
	}
	return b, nil
}

// entra reads a row under the header of Microsoft Entra ID: TOTP with SHA-1 and six
// digits.
func (r *rows) entra(row []string) (*Key, error) {
	column := func(name string) string {
		i, found := r.columns[name]
		if !found {
			return ""
		}
		return at(row, i)
	}
	k := &Key{Digits: 6, Period: softPeriod, Serial: column("serialnumber"), User: column("upn"),
		Manufacturer: column("manufacturer"), Model: column("model")}
	var err error
	if k.Secret, err = secretText(column("secretkey")); err != nil {
		return nil, err
	}
	if text := column("timeinterval"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("the time interval is %.16q", text)
		}
		k.Period = time.Duration(n) * time.Second
	}
	return k, nil
}

// yubicoTraditional reads: type, time, slot, public ID, private ID, secret, two fields,
// two more, and the digits in the twelfth.
func yubicoTraditional(row []string) (k *Key, err error) {
	k = &Key{Counter: true, Digits: 6, Serial: at(row, 3), Manufacturer: "Yubico"}
	if k.Serial == "" { // a slot without a public ID: use the time and the slot
		k.Serial = strings.TrimSpace(at(row, 1) + " slot " + at(row, 2))
	}
	switch text := at(row, 11); text {
	case "", "6":
	case "8":
		k.Digits = 8
	default:
		return nil, fmt.Errorf("the number of digits is %.8q", text)
	}
	k.Secret, err = seed(at(row, 5))
	return k, err
}

// yubico reads: serial, public ID, private ID or 0, secret, access code, time. Only an
// OATH token has a private ID of 0.
func yubico(row []string) (k *Key, reason string, err error) {
	if at(row, 2) != "0" {
		return nil, "it is not an OATH token: it has a private ID", nil
	}
	k = &Key{Counter: true, Digits: 6, Serial: row[0], Manufacturer: "Yubico"}
	k.Secret, err = seed(at(row, 3))
	return k, "", err
}

// oathRow reads: serial, seed, type, digits, period or counter; or serial, seed,
// counter.
func oathRow(row []string) (k *Key, err error) {
	if len(row) > 5 && strings.Join(row[5:], "") != "" {
		return nil, fmt.Errorf("it has %d fields, and no form has as many", len(row))
	}
	k = &Key{Counter: true, Digits: 6, Serial: row[0]}
	if k.Secret, err = seed(at(row, 1)); err != nil {
		return nil, err
	}
	last := at(row, 4)
	switch kind := strings.ToLower(at(row, 2)); {
	case kind == "", kind == "hotp":
	case kind == "totp":
		k.Counter, k.Period = false, softPeriod
	case digitsOnly(kind) && at(row, 3)+last == "":
		last = kind
	default:
		return nil, fmt.Errorf("the type is %.16q, not totp or hotp", at(row, 2))
	}
	if text := at(row, 3); text != "" {
		if k.Digits, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("the number of digits is %.8q", text)
		}
	}
	if last == "" {
		return k, nil
	}
	n, err := strconv.ParseUint(last, 10, 62)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the period or counter is %.16q", last)
	case k.Counter:
		k.Moving = n
	default:
		k.Period = time.Duration(min(n, 1<<20)) * time.Second
	}
	return k, nil
}
