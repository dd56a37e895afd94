package guardtest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// An Attempt asks for one message.
type Attempt struct {
	At      time.Duration // since midnight of the first day
	Session int           // the messages of one session are one challenge
	Number  string        // E.164
	Country string        // ISO 3166-1
	Price   float64       // US cents
	IP      netip.Addr
	Label   string        // Legit, or the attack's name
	Known   bool          // the number was verified before
	Verify  time.Duration // the right code is typed so long after the message; 0: it is not
	Solves  bool          // passes a step-up
}

// Legit labels people.
const Legit = "legit"

// A Country is where numbers are, and how its people behave.
type Country struct {
	Code, Dial string
	Digits     int     // of a national number
	Lead       int     // its numbers begin so
	Blocks     int     // how many blocks of 10,000 numbers people are in
	Price      float64 // of a message, in US cents: orders of magnitude
	Conv       float64 // share of sessions that end verified
}

// Countries by code. Prices are of the order that providers list in public.
var Countries = index([]Country{
	{"US", "1", 10, 201, 20000, 0.8, 0.78},
	{"CA", "1", 10, 416, 4000, 0.8, 0.78},
	{"GB", "44", 10, 74, 9000, 4.5, 0.80},
	{"DE", "49", 10, 15, 9000, 9, 0.82},
	{"FR", "33", 9, 6, 6000, 7, 0.80},
	{"ES", "34", 9, 6, 5000, 6, 0.77},
	{"SG", "65", 8, 8, 1500, 4.5, 0.83},
	{"BR", "55", 11, 119, 9000, 4, 0.70},
	{"IN", "91", 10, 98, 20000, 3, 0.68},
	{"MX", "52", 10, 55, 8000, 5, 0.66},
	{"NG", "234", 10, 80, 8000, 12, 0.60},
	{"PH", "63", 10, 91, 6000, 12, 0.62},
	{"ID", "62", 10, 81, 9000, 25, 0.60},
	{"PK", "92", 10, 30, 6000, 25, 0.55},
	{"BD", "880", 10, 17, 6000, 25, 0.55},
	{"LK", "94", 9, 7, 4000, 25, 0.60},
	{"UZ", "998", 9, 90, 2000, 28, 0.60},
	{"AZ", "994", 9, 50, 1500, 28, 0.60},
	{"TJ", "992", 9, 90, 800, 28, 0.55},
	{"IQ", "964", 10, 77, 2500, 25, 0.55},
})

func index(list []Country) map[string]Country {
	m := make(map[string]Country, len(list))
	for _, c := range list {
		m[c.Code] = c
	}
	return m
}

// Mixes of countries, by weight.
var (
	Medium = map[string]float64{
		"US": 0.30, "GB": 0.25, "DE": 0.18, "FR": 0.10, "ES": 0.07, "SG": 0.05, "BR": 0.03, "NG": 0.01,
		"PK": 0.006, "UZ": 0.004,
	}
	Large = map[string]float64{
		"US": 0.28, "IN": 0.20, "BR": 0.12, "ID": 0.08, "GB": 0.07, "DE": 0.06, "FR": 0.05, "MX": 0.05,
		"NG": 0.03, "PH": 0.02, "ES": 0.01, "SG": 0.01, "PK": 0.008, "LK": 0.005, "BD": 0.005, "IQ": 0.002,
		"UZ": 0.001,
	}
)

// Traffic is what people ask for.
type Traffic struct {
	PerDay float64
	Days   int
	Mix    map[string]float64 // weights of countries
	Conv   float64            // share of sessions verified; 0: each country's own
	New    float64            // share of numbers never verified before; 0: 0.3
	Bursts []Burst
}

// A Burst multiplies traffic, of one country or of all, for a while.
type Burst struct {
	At, For time.Duration
	Times   float64
	Country string  // "": all
	Conv    float64 // share of sessions verified during it; 0: as usual
}

// Make returns the traffic's attempts in order.
func (t Traffic) Make(seed uint64) []Attempt {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []Attempt
	session := int(seed) << 32
	for _, code := range sorted(t.Mix) {
		c, perSecond := Countries[code], t.PerDay*t.Mix[code]/86400
		most := perSecond * 1.8
		for _, b := range t.Bursts {
			most = max(most, perSecond*1.8*b.Times)
		}
		for at := 0.0; ; {
			at += r.ExpFloat64() / most
			when := time.Duration(at * float64(time.Second))
			if when >= time.Duration(t.Days)*24*time.Hour {
				break
			}
			times, conv := t.at(when, c)
			if r.Float64()*most > perSecond*times {
				continue
			}
			session++
			out = append(out, person(r, c, when, session, conv, cmp.Or(t.New, 0.3))...)
		}
	}
	return Merge(out)
}

// at is the day's curve, from 0.2 at 7 to 1.8 at 19 o'clock, and the bursts.
func (t Traffic) at(when time.Duration, c Country) (times, conv float64) {
	times = 1 + 0.8*math.Cos(2*math.Pi*(when.Hours()-19)/24)
	conv = cmp.Or(t.Conv, c.Conv)
	for _, b := range t.Bursts {
		if when >= b.At && when < b.At+b.For && (b.Country == "" || b.Country == c.Code) {
			times, conv = times*b.Times, cmp.Or(b.Conv, conv)
		}
	}
	return times, conv
}

// person returns the attempts of one person, one to three: some messages are slow.
func person(r *rand.Rand, c Country, at time.Duration, session int, conv, fresh float64) []Attempt {
	a := Attempt{At: at, Session: session, Country: c.Code, Price: c.Price, Label: Legit}
	a.Number = c.number(c.block(r.IntN(c.Blocks)), r.IntN(10000))
	a.Known, a.IP, a.Solves = r.Float64() >= fresh, home(r, c), r.Float64() < 0.97
	sends := 1
	for r.Float64() < 0.13 && sends < 3 {
		sends++
	}
	verified := r.Float64() < conv
	var out []Attempt
	for i := range sends {
		a.Verify = 0
		if verified && i == sends-1 {
			a.Verify = time.Duration(18 * math.Exp(0.6*r.NormFloat64()) * float64(time.Second)) // median 18 s
		}
		out = append(out, a)
		a.At += 40*time.Second + time.Duration(r.ExpFloat64()*30*float64(time.Second))
	}
	return out
}

// number is the n-th of a block of 10,000.
func (c Country) number(block, n int) string {
	lead := fmt.Sprint(c.Lead)
	return fmt.Sprintf("+%s%s%0*d%04d", c.Dial, lead, c.Digits-len(lead)-4, block%c.all(), n)
}

// block is the i-th of the blocks that people have numbers in. These blocks are
// scattered over the country's.
func (c Country) block(i int) int { return i * 7919 % c.all() }

// all is how many blocks the country has.
func (c Country) all() int { return pow10(c.Digits - len(fmt.Sprint(c.Lead)) - 4) }

func pow10(n int) int { return int(math.Pow10(n)) }

// home is an address of a person. Half of the people share a few addresses of a
// mobile carrier, the others have an address of their own.
func home(r *rand.Rand, c Country) netip.Addr {
	h := c.Code[0] ^ c.Code[1]<<3
	switch r.IntN(4) {
	case 0, 1:
		return netip.AddrFrom4([4]byte{100, h, byte(r.IntN(4)), byte(r.IntN(64))})
	case 2:
		return v6(0x2a00+uint16(h), uint16(r.IntN(1<<16)), uint16(r.IntN(1<<16)), r)
	}
	return netip.AddrFrom4([4]byte{80 + h%16, byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
}

func v6(a, b, c uint16, r *rand.Rand) netip.Addr {
	return netip.AddrFrom16([16]byte{byte(a >> 8), byte(a), byte(b >> 8), byte(b), byte(c >> 8), byte(c),
		14: byte(r.IntN(256)), 15: byte(r.IntN(256))})
}

// Office is people who arrive behind one address within a while.
func Office(seed uint64, people int, at, within time.Duration, country string) []Attempt {
	r := rand.New(rand.NewPCG(seed, 2))
	c, session := Countries[country], int(seed)<<32|1<<31
	var out []Attempt
	for range people {
		session++
		for _, a := range person(r, c, at+time.Duration(r.Float64()*float64(within)), session, c.Conv, 0.3) {
			a.IP = netip.MustParseAddr("198.51.100.7")
			out = append(out, a)
		}
	}
	return Merge(out)
}

// Company is the people of a firm. Their numbers are in a row, and they enrol one
// after the other.
func Company(seed uint64, people int, at, within time.Duration, country string) []Attempt {
	out := Office(seed, people, at, within, country)
	c := Countries[country]
	for i := range out {
		out[i].Number, out[i].Known = c.number(c.block(77), 1000+out[i].Session&(1<<31-1)), false
	}
	return out
}

// Merge returns the attempts of traces in order.
func Merge(traces ...[]Attempt) []Attempt {
	out := slices.Concat(traces...)
	slices.SortStableFunc(out, func(a, b Attempt) int { return cmp.Compare(a.At, b.At) })
	return out
}

func sorted(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
