package authenticator

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/otpcourier/otpcourier/otp"
)

const (
	maxCSV  = 32 << 20 // octets
	maxRows = 1_000_000
)

// ReadCSV reads a seed file of hard tokens, of up to 32 MiB, in one of these forms:
//
//	upn,serial number,secret key,time interval,manufacturer,model     Microsoft Entra ID, Token2, Deepnet; with
//	                                                                  this header, upn may be missing; base32
//	serial, seed[, totp or hotp[, digits[, period or counter]]]       OATH: LinOTP, privacyIDEA, NetIQ; hex,
//	                                                                  by default hotp and six digits
//	serial, seed, counter                                             Ping; hex
//	the log of the YubiKey personalization tool, traditional or Yubico's
//
// Fields are separated by commas or semicolons. Lines that begin with # are comments. The
// form follows from the header and from the fields, never from the look of a seed: one
// hexadecimal seed of a hundred thousand is valid base32, too.
//
// Other entries of a YubiKey's log are skipped. Any other error fails the whole file, and
// no key is returned. The error matches otp.ErrInvalidRequest, its Field names the line,
// and it shows no seed. A serial or a seed must not occur twice. A number that a
// spreadsheet has changed to 1E+12 is refused.
func ReadCSV(r io.Reader) ([]Key, []Skipped, error) {
	rows := newRows(r)
	var keys []Key
	var skipped []Skipped
	lines := map[string]int{}
	for {
		row, line, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		k, reason, err := rows.key(row)
		if err == nil && reason == "" {
			err = onlyOnce(lines, k, line)
		}
		switch {
		case err != nil:
			return nil, nil, lineError(line, err)
		case reason != "":
			skipped = append(skipped, Skipped{Serial: row[0], Reason: reason})
		default:
			keys = append(keys, *k)
		}
	}
	if len(keys)+len(skipped) == 0 {
		return nil, nil, &otp.Error{Reason: otp.ReasonInvalid, Field: "CSV",
			Err: errors.New("there is no token in the file")}
	}
	return keys, skipped, nil
}

func lineError(line int, err error) *otp.Error {
	return &otp.Error{Reason: otp.ReasonInvalid, Field: fmt.Sprint("CSV line ", line), Err: err}
}

// onlyOnce validates a key, and refuses the serial or the seed of another line.
func onlyOnce(lines map[string]int, k *Key, line int) error {
	if k.Serial == "" {
		return errors.New("there is no serial number")
	}
	if spreadsheet(k.Serial) {
		return fmt.Errorf("the serial number %q was changed by a spreadsheet", k.Serial)
	}
	if _, err := k.fault(); err != nil {
		return err
	}
	for what, name := range map[string]string{"serial number": "serial " + k.Serial, "seed": "seed " +
		string(k.Secret)} {
		if before := lines[name]; before != 0 {
			return fmt.Errorf("the %s is that of line %d", what, before)
		}
		lines[name] = line
	}
	return nil
}

// spreadsheet reports whether s is a number in scientific notation.
func spreadsheet(s string) bool {
	mantissa, exponent, found := strings.Cut(strings.ToUpper(s), "E+")
	return found && strings.Trim(mantissa, "0123456789.,") == "" && strings.Trim(exponent, "0123456789") == "" &&
		exponent != ""
}

// rows are the lines of a seed file.
type rows struct {
	csv     *csv.Reader
	columns map[string]int // of the header, by name; nil: no header
	n       int
}

func newRows(r io.Reader) *rows {
	b := bufio.NewReader(io.LimitReader(r, maxCSV+1))
	if mark, _ := b.Peek(3); string(mark) == "\ufeff" {
		_, _ = b.Discard(3)
	}
	c := csv.NewReader(&shortened{r: b})
	c.FieldsPerRecord, c.TrimLeadingSpace, c.Comment = -1, true, '#'
	begin, _ := b.Peek(4096)
	for line := range strings.Lines(string(begin)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			if strings.Contains(line, ";") {
				c.Comma = ';'
			}
			break
		}
	}
	return &rows{csv: c}
}

// A shortened reader fails after maxCSV octets.
type shortened struct {
	r io.Reader
	n int
}

func (s *shortened) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if s.n += n; s.n > maxCSV {
		return 0, fmt.Errorf("the file is longer than %d MiB", maxCSV>>20)
	}
	return n, err
}

// next returns the next row after the header, and its line.
func (r *rows) next() ([]string, int, error) {
	for {
		row, err := r.csv.Read()
		if errors.Is(err, io.EOF) {
			return nil, 0, io.EOF
		}
		if err != nil {
			if p, ok := errors.AsType[*csv.ParseError](err); ok {
				return nil, 0, lineError(p.Line, p.Err)
			}
			return nil, 0, &otp.Error{Reason: otp.ReasonInvalid, Field: "CSV", Err: err}
		}
		line, _ := r.csv.FieldPos(0)
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		r.n++
		if r.n > maxRows {
			return nil, 0, lineError(line, fmt.Errorf("there are more than %d rows", maxRows))
		}
		if strings.Join(row, "") == "" {
			continue
		}
		if r.n == 1 && r.header(row) {
			continue
		}
		return row, line, nil
	}
}

// header reads the names of the columns, if the row has them.
func (r *rows) header(row []string) bool {
	columns := map[string]int{}
	for i, name := range row {
		columns[strings.ReplaceAll(strings.ToLower(name), " ", "")] = i
	}
	_, serial := columns["serialnumber"]
	_, secret := columns["secretkey"]
	if !serial || !secret {
		return false
	}
	r.columns = columns
	return true
}
