package redisstore

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Values in Redis, and arguments of scripts, begin with fields at fixed places. A layout,
// a struct of fields, states each of them once: the codecs in Go use its fields, and the
// scripts name them. The tag of a field is its type for Lua's struct.pack: I and a number
// of bytes, i if it may be negative, c and a number of bytes, or B for one byte. Integers
// are big-endian.
//
// Version: no value names its format. If the format of a value changes after a release,
// the name of its key must change, so that processes of two releases never read each
// other's values: records are "c" and the rest of the ID, runs of failures "f", limits
// "w", a Tracker's entries "r" and its parked receipts "p", credentials "v", and jobs are
// under the tag {queue}. If a value does not fit its layout, the call fails; the value is
// neither repaired nor removed.
var (
	recordLayout  = layoutOf[recordFields]()
	closingLayout = layoutOf[closingFields]()
	runLayout     = layoutOf[runFields]()
	markLayout    = layoutOf[markFields]()
	cellLayout    = layoutOf[cellFields]()
	headLayout    = layoutOf[headFields]()
	lastLayout    = layoutOf[lastFields]()
	windowLayout  = layoutOf[windowFields]()
	keyLayout     = layoutOf[keyFields]()
	roomLayout    = layoutOf[roomFields]()
	limitLayout   = layoutOf[limitFields]()
	spanLayout    = layoutOf[spanFields]()
	jobLayout     = layoutOf[jobFields]()
	stampLayout   = layoutOf[stampFields]()
	finishLayout  = layoutOf[finishFields]()
	updateLayout  = layoutOf[updateFields]()
)

// recordFields begin a challenge's record. Times are microseconds since 1970. The
// first byte is 0.
type recordFields struct {
	Revision    field `lua:"I8"`
	Nonces      field `lua:"I4"` // where the nonces of the latest four Updates begin: Delivery ends there
	Tokens      field `lua:"I4"` // where the tokens of the attempts begin: the nonces end there
	Expires     field `lua:"I8"`
	Subject     field `lua:"c16"` // see subjectField
	Lock        field `lua:"i8"`  // microseconds
	RunLife     field `lua:"I8"`  // microseconds
	MaxRun      field `lua:"I4"`
	MaxFailures field `lua:"I4"`
	MaxAttempts field `lua:"I4"`
	Created     field `lua:"i8"`
	Group       field `lua:"c17"` // see groupField
	Delivery    field `lua:"I4"`  // where Delivery begins
	Rest        field `lua:"c0"`  // no script reads what follows, up to Delivery
}

// closingFields end the record of a challenge that Finish has closed.
type closingFields struct {
	Outcome field `lua:"B"`
	Token   field `lua:"c8"` // of that Finish
}

// runFields are a subject's run of failures. The marks of CancelAll follow them.
type runFields struct {
	Failures field `lua:"I4"` // in a row since the latest lock
	Ends     field `lua:"I8"` // when Failures are forgotten
	Locked   field `lua:"B"`  // 1: Ends is the end of a lock
	Total    field `lua:"I4"` // since the latest Verified, for MaxRun
	Life     field `lua:"I8"` // when Total is forgotten
	Kept     field `lua:"I8"` // the hash of runs lives until then, or longer
}

// markFields are a mark of CancelAll: it cancels the open challenges of a group created
// before Time. A subject has at most one mark for each group.
type markFields struct {
	Group field `lua:"c17"` // see groupField; of the empty group: all challenges
	Ends  field `lua:"I8"`  // when the mark is forgotten
	Time  field `lua:"I8"`
}

// cellFields are a cell of the log of a limit's takings.
type cellFields struct {
	Time field `lua:"I8"`
	Sum  field `lua:"I6"` // number of takings up to the end of this cell
}

// headFields begin a string of windows. Those of two strings are equal only if the
// windows are the same, in the same order, and with the same steps.
type headFields struct {
	Number field `lua:"B"`  // of windows
	Sign   field `lua:"c4"` // of their tags and steps; 0: they are not those of a call
}

// keyFields are a string of windows as scriptTake needs it for most calls.
type keyFields struct {
	Head   field `lua:"I5"` // headFields as a number
	Number field `lua:"B"`  // of windows
	Life   field `lua:"I6"` // milliseconds
}

// lastFields are the last cell of a window.
type lastFields struct {
	Time field `lua:"I8"`
	Held field `lua:"I6"` // number of takings in all cells
	Step field `lua:"I6"` // how long the cell is, in microseconds
}

// windowFields are the rest of a window, apart from the cells before the last.
type windowFields struct {
	Tag    field `lua:"c4"` // names the window among those of its string
	Before field `lua:"I6"` // number of takings before the first cell
	Cells  field `lua:"I2"` // number of the cells before the last
}

// limitFields are a limit as Take and Give give it to their scripts.
type limitFields struct {
	Most   field `lua:"I6"` // a limit of more has this many
	Number field `lua:"I6"` // of takings
	Window field `lua:"I2"` // 4 times which of the spanFields, from 1; and limitShadow, limitPeek
}

// roomFields are a window as scriptTake needs it for most calls.
type roomFields struct {
	Take field `lua:"I6"` // takings of all its limits
	Room field `lua:"I6"` // if fewer takings than these are held, each of its limits allows; 0: it may not
}

// spanFields are a window as Take and Give give it to their scripts.
type spanFields struct {
	Key  field `lua:"I2"` // which of KEYS
	Tag  field `lua:"c4"` // see windowFields
	Step field `lua:"I6"` // how long a cell is, in microseconds
	Keep field `lua:"I6"` // for how long a cell is kept, in microseconds
	Per  field `lua:"I6"` // microseconds
}

// jobFields begin a job in the queue.
type jobFields struct {
	Rank     field `lua:"B"`  // see rank
	Attempts field `lua:"I4"` // how often the job was handed out since Enqueue, or since its handler last succeeded
	Expires  field `lua:"I8"`
	Due      field `lua:"I8"`
	Nonce    field `lua:"c8"` // random: no two jobs are equal
	Rest     field `lua:"c0"` // no script reads what follows
}

// stampFields are the time of a call, and its name: the caller's token or a nonce.
type stampFields struct {
	Time field `lua:"I8"`
	Name field `lua:"c8"`
}

// finishFields are the time of a Finish, and how it closes a record.
type finishFields struct {
	Time    field `lua:"I8"`
	Closing field `lua:"c9"` // see closingFields
}

// updateFields are the time of an Update, its nonce, and the revision that it replaces.
type updateFields struct {
	Time     field `lua:"I8"`
	Name     field `lua:"c8"`
	Revision field `lua:"I8"`
}

// A field is a part of a value, at a fixed place.
type field struct {
	at     int // offset in bytes: 0 for the first field
	length int
	format string
}

// get returns the integer that s has in the field.
func (f field) get(s string) (n uint64) {
	for i := range f.length {
		n = n<<8 | uint64(s[f.at+i])
	}
	return n
}

// put writes an integer into the field of b.
func (f field) put(b []byte, n uint64) {
	for i := range f.length {
		b[f.at+i] = byte(n >> (8 * (f.length - 1 - i)))
	}
}

// end returns the offset after the field.
func (f field) end() int { return f.at + f.length }

// layoutOf places the fields of L one after the other.
func layoutOf[L any]() (layout L) {
	v := reflect.ValueOf(&layout).Elem()
	at := 0
	for i := range v.NumField() {
		f := field{at: at, length: 1, format: v.Type().Field(i).Tag.Get("lua")}
		if digits := f.format[1:]; digits != "" {
			f.length, _ = strconv.Atoi(digits)
		}
		v.Field(i).Set(reflect.ValueOf(f))
		at = f.end()
	}
	return layout
}

// A script's text has these, which expand replaces:
//
//	@record.expires.from    the first byte of a field as Lua counts, from 1
//	@record.expires.to      its last byte, counted alike
//	@record.expires.at      its offset as Redis counts, from 0
//	@record.expires.length
//	@record.expires.format  its type for struct.pack
//	@cell.length            of all fields
//	@record[expires subject] the format of fields that are next to each other
//	@status.expired         one of luaConstants
//	@(cell.length - 1)      a sum of numbers
var placeholder = regexp.MustCompile(`@\(([^)]*)\)|@([a-z]+)\[([a-z_ ]*)\]|@([a-z_]+(?:\.[a-z_]+)*)`)

// luaNames are the values of the placeholders with names.
var luaNames = namesOf(map[string]any{
	"record": recordLayout, "run": runLayout, "mark": markLayout, "cell": cellLayout, "head": headLayout,
	"last": lastLayout, "window": windowLayout, "key": keyLayout, "room": roomLayout,
	"limit": limitLayout, "span": spanLayout, "job": jobLayout, "stamp": stampLayout, "finish": finishLayout,
	"closing": closingLayout, "update": updateLayout,
})

func namesOf(layouts map[string]any) map[string]string {
	names := map[string]string{}
	for name, v := range luaConstants {
		names[name] = fmt.Sprint(v)
	}
	for layout, fields := range layouts {
		v, length := reflect.ValueOf(fields), 0
		for i := range v.NumField() {
			f := v.Field(i).Interface().(field) // a layout has only fields
			name := layout + "." + snakeCase(v.Type().Field(i).Name)
			names[name+".from"] = strconv.Itoa(f.at + 1)
			names[name+".to"] = strconv.Itoa(f.end())
			names[name+".at"] = strconv.Itoa(f.at)
			names[name+".length"] = strconv.Itoa(f.length)
			names[name+".format"] = f.format
			length = f.end()
		}
		names[layout+".length"] = strconv.Itoa(length)
	}
	return names
}

// snakeCase returns "max_attempts" for "MaxAttempts".
func snakeCase(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && 'A' <= c && c <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}

// expand replaces the placeholders of a script's text. It panics if there is no
// such name, or if fields in brackets are not next to each other.
func expand(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(s string) string {
		m := placeholder.FindStringSubmatch(s)
		switch {
		case m[1] != "":
			return strconv.Itoa(sum(strings.Fields(m[1])))
		case m[2] != "":
			return formatOf(m[2], strings.Fields(m[3]))
		}
		return value(m[4])
	})
}

func value(name string) string {
	v, ok := luaNames[name]
	if !ok {
		panic(fmt.Sprintf("redisstore: a script names %s, which there is not", name))
	}
	return v
}

// sum adds terms: numbers or names, with + or - between.
func sum(terms []string) (total int) {
	sign := 1
	for _, term := range terms {
		switch term {
		case "+":
			sign = 1
		case "-":
			sign = -1
		default:
			n, err := strconv.Atoi(term)
			if err != nil {
				n, _ = strconv.Atoi(value(term))
			}
			total += sign * n
		}
	}
	return total
}

// formatOf returns the format of fields of a layout, for struct.pack.
func formatOf(layout string, fields []string) string {
	format, next := ">", ""
	for _, name := range fields {
		name = layout + "." + name
		if at := value(name + ".at"); next != "" && at != next {
			panic(fmt.Sprintf("redisstore: %s is not next to the field before it", name))
		}
		format, next = format+value(name+".format"), value(name+".to")
	}
	return format
}
