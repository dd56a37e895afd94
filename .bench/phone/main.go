// Command phone compares channel/phone with libphonenumber-js, which it installs
// from npm into a temporary folder. It is a module of its own, so run it from the
// repository as
//
//	go -C .bench run ./phone
//
// It draws 20,000 numbers of all regions and types, half from the ranges of the
// metadata that this module is built with and half from those of
// libphonenumber-js, and asks both. They agree on a number if both refuse it, or
// accept it with the same E.164 form and country; more strictly, if they also
// agree on whether it can receive a text message. The numbers are asked for in E.164
// form, and as libphonenumber-js writes them for callers in their country:
//
//	AGREEMENT phone e164 99.43 % of 20000, with text messages 99.10 %
//	AGREEMENT phone national 99.70 % of 19670, with text messages 99.40 %
//
// Then it does the same once more with the metadata of libphonenumber-js in the
// place of its own. A difference that is gone then was one of the metadata's age.
// Each of the others is shown, with the rule of channel/phone that explains it;
// if there is a difference without one, the exit status is 1:
//
//	DIFFERENCES phone age 78, rule 41, unexplained 0
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/channel/phone"
)

// An answer is what libphonenumber-js says of a number.
type answer struct {
	Number   string
	Valid    bool
	E164     string
	Region   string
	Type     string
	National string
	Reread   string // the E.164 form that it reads from National
}

func main() {
	n := flag.Int("n", 20_000, "how many numbers")
	seed := flag.Uint64("seed", 1, "of the numbers")
	version := flag.String("version", "1.13.16", "of libphonenumber-js")
	with := flag.String("with", "", "used by the command itself: the folder of the answers")
	flag.Parse()
	if err := run(*n, *seed, *version, *with); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(n int, seed uint64, version, with string) error {
	if with != "" {
		return again(with)
	}
	dir, err := os.MkdirTemp("", "phone")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	npm := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir,
		"libphonenumber-js@"+version)
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm: %w\n%s", err, out)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	ours, err := sources()
	if err != nil {
		return err
	}
	// A process has one metadata, so the numbers of theirs are drawn by another.
	theirs, err := drawTheirs(dir, n-n/2, seed)
	if err != nil {
		return err
	}
	answers, err := ask(dir, append(draw(ours, n/2, r), theirs...))
	if err != nil {
		return err
	}
	return report(dir, answers)
}

// ask asks libphonenumber-js, and keeps its answers for again.
func ask(dir string, numbers []string) ([]answer, error) {
	script, err := filepath.Abs("phone/libphonenumber.cjs")
	if err != nil {
		return nil, err
	}
	node := exec.Command("node", script)
	node.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	node.Stdin = strings.NewReader(strings.Join(numbers, "\n"))
	node.Stderr = os.Stderr
	out, err := node.Output()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "answers"), out, 0o600); err != nil {
		return nil, err
	}
	return decode(out)
}

func decode(lines []byte) ([]answer, error) {
	var answers []answer
	for s := bufio.NewScanner(bytes.NewReader(lines)); s.Scan(); {
		var a answer
		if err := json.Unmarshal(s.Bytes(), &a); err != nil {
			return nil, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// report prints the agreement and explains the differences.
func report(dir string, answers []answer) error {
	first := differences(answers)
	for _, form := range []string{"e164", "national"} {
		asked, number, text := len(answers), 0, 0
		if form == "national" {
			asked = 0
			for _, a := range answers {
				if a.rereads() {
					asked++
				}
			}
		}
		for _, d := range first {
			switch {
			case d.form != form:
			case d.text:
				text++
			default:
				number++
			}
		}
		percent := func(differ int) float64 { return 100 - 100*float64(differ)/float64(asked) }
		fmt.Printf("AGREEMENT phone %s %.2f %% of %d, with text messages %.2f %%\n",
			form, percent(number), asked, percent(number+text))
	}
	left, err := spawn(dir, "again")
	if err != nil {
		return err
	}
	age, rule, unexplained := 0, 0, 0
	for _, d := range first {
		switch why := d.rule(); {
		case !slices.Contains(left, d.key()):
			age++
		case why != "":
			rule++
			fmt.Println(d, "because of the rule:", why)
		default:
			unexplained++
			fmt.Println(d, "UNEXPLAINED")
		}
	}
	fmt.Printf("DIFFERENCES phone age %d, rule %d, unexplained %d\n", age, rule, unexplained)
	if unexplained > 0 {
		return fmt.Errorf("%d differences are unexplained", unexplained)
	}
	return nil
}

// A difference is a number on which the two do not agree.
type difference struct {
	answer
	form  string
	input string
	got   phone.Number
	err   error
	text  bool // only the answer to whether it can receive a text message differs
}

func (d difference) key() string { return d.form + " " + d.Number }

func (d difference) String() string {
	return fmt.Sprintf("%s %s: %s %s %v, %v; libphonenumber-js: %s %s %s",
		d.form, d.input, d.got.E164, d.got.Region, d.got.Type, d.err, d.E164, d.Region, d.Type)
}

// rereads reports whether libphonenumber-js reads the national form that it
// writes, so that there is an answer to compare with.
func (a answer) rereads() bool { return a.Valid && a.Reread == a.E164 }

func differences(answers []answer) []difference {
	var all []difference
	compare := func(a answer, form, input, region string) {
		d := difference{answer: a, form: form, input: input}
		d.got, d.err = phone.Parse(input, region)
		if number, text := agree(a, d.got, d.err); !number || !text {
			d.text = number
			all = append(all, d)
		}
	}
	for _, a := range answers {
		compare(a, "e164", a.Number, "")
		if a.rereads() {
			compare(a, "national", a.National, a.Region)
		}
	}
	return all
}

// strict refuses numbers in no known range, so that a range that only this
// module's metadata has is a difference of age.
var strict bool

// agree reports whether the two agree on what number it is, and on whether it
// can receive a text message.
func agree(a answer, n phone.Number, err error) (number, text bool) {
	if !a.Valid || a.Region == "" {
		number = err != nil || strict && n.UnknownRange
		return number, number
	}
	return err == nil && n.E164 == a.E164 && n.Region == a.Region,
		n.Type.SMS() == (a.Type == "MOBILE" || a.Type == "FIXED_LINE_OR_MOBILE")
}

// rule names the rule of channel/phone by which it means to differ.
func (d difference) rule() string {
	switch {
	case d.Region == "AR" && d.Type == "FIXED_LINE":
		return "a mobile number of Argentina is written without its 9, like a landline"
	case d.err != nil && len(d.E164) > 16:
		return "an E.164 number has at most 15 digits"
	case d.Type == "MOBILE" && d.got.Type == phone.VoIP:
		return "libphonenumber-js asks whether a number is mobile before it asks whether it is VoIP"
	case d.Region == "TA":
		return "libphonenumber-js takes a region without mobile numbers for one whose mobile numbers are like fixed lines"
	case d.form == "national" && d.got.Type.SMS() && strings.HasPrefix(d.National, "00"):
		return "if a number has two readings, the reading that can receive SMS counts"
	}
	return ""
}
