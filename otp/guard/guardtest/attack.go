package guardtest

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// An Attack asks for Count messages, one every Every from At on.
type Attack struct {
	Name      string
	At, Every time.Duration
	Count     int
	Countries []string // taken in turn
	Blocks    int      // blocks of 10,000 numbers in a row that its numbers are in; 0: all that people are in
	First     int      // the first of them
	Among     bool     // its blocks are some of those that people are in, and not in a row
	Sequence  bool     // numbers one after the other; else at random
	Victims   int      // only so many numbers, again and again; 0: as many as there are
	Sources   Sources
	Known     float64 // share of its numbers that were verified before
	Conv      float64 // share of codes that it types
	Solves    float64 // share of step-ups that it passes
}

// Sources says where an attack comes from.
type Sources uint8

// The sources.
const (
	OneIP   Sources = iota
	Network         // an IPv6 /48: 65,536 networks of /64
	Home            // 10,000 proxies in people's homes
	Few             // twenty rented servers
)

// The attacks, each begun at noon of the second day. Change a copy to vary one.
var (
	noon = 36 * time.Hour

	Range = Attack{Name: "range", At: noon, Every: 200 * time.Millisecond, Count: 10000,
		Countries: []string{"UZ"}, Blocks: 4, First: 9001, Sequence: true}
	Proxies = Attack{Name: "proxies", At: noon, Every: 200 * time.Millisecond, Count: 10000,
		Countries: []string{"UZ"}, Blocks: 4, First: 9001, Sequence: true, Sources: Home}
	Rotating = Attack{Name: "rotating", At: noon, Every: 200 * time.Millisecond, Count: 10000,
		Countries: []string{"PK"}, Blocks: 4, First: 9001, Sources: Network}
	Slow = Attack{Name: "slow", At: noon, Every: 90 * time.Second, Count: 1900, Countries: []string{"PK"},
		Blocks: 40, First: 9001, Sources: Home}
	Spray = Attack{Name: "spray", At: noon, Every: time.Second, Count: 10000,
		Countries: []string{"NG", "PK", "UZ", "BR", "ES", "FR", "DE", "SG", "GB", "US"}, Sources: Home}
	Expensive = Attack{Name: "expensive", At: noon, Every: time.Second, Count: 10000,
		Countries: []string{"UZ"}, Sources: Home}
	Hidden = Attack{Name: "hidden", At: noon, Every: 5 * time.Second, Count: 5000,
		Countries: []string{"GB"}, Blocks: 3, First: 100, Among: true, Sources: Home}
	Wide = Attack{Name: "wide", At: noon, Every: 5 * time.Second, Count: 5000, Countries: []string{"GB"},
		Sources: Home}
	Victim = Attack{Name: "victim", At: noon, Every: 10 * time.Second, Count: 4000,
		Countries: []string{"GB"}, Blocks: 1, First: 5, Among: true, Victims: 1, Known: 1, Sources: Home}
	Converts3 = Attack{Name: "converts30", At: noon, Every: time.Second, Count: 10000,
		Countries: []string{"PK"}, Blocks: 4, First: 9001, Sources: Home, Conv: 0.3}
	Converts5 = Attack{Name: "converts50", At: noon, Every: time.Second, Count: 10000,
		Countries: []string{"PK"}, Blocks: 4, First: 9001, Sources: Home, Conv: 0.5}
	Probe = Attack{Name: "probe", At: noon, Every: 60 * time.Second, Count: 2000,
		Countries: []string{"GB"}, Blocks: 40, Among: true, Victims: 400, Known: 0.5, Sources: Few}

	Server = Attack{Name: "server", At: noon, Every: time.Second, Count: 10000,
		Countries: []string{"NG", "PK", "UZ", "BR", "ES", "FR", "DE", "SG", "GB", "US"}}
	Subnet = Attack{Name: "subnet", At: noon, Every: time.Second, Count: 10000,
		Countries: []string{"NG", "PK", "UZ", "BR", "ES", "FR", "DE", "SG", "GB", "US"}, Sources: Network}

	// Attacks are all of them.
	Attacks = []Attack{Server, Subnet, Range, Proxies, Rotating, Slow, Spray, Expensive, Hidden, Wide, Victim,
		Converts3, Converts5, Probe}
)

// Make returns the attack's attempts in order.
func (k Attack) Make(seed uint64) []Attempt {
	r := rand.New(rand.NewPCG(seed, 3))
	out := make([]Attempt, k.Count)
	for i := range out {
		c := Countries[k.Countries[i%len(k.Countries)]]
		a := Attempt{Session: int(seed)<<32 | 3<<30 | i, Label: k.Name, Country: c.Code, Price: c.Price,
			Solves: r.Float64() < k.Solves}
		a.At = k.At + time.Duration(i)*k.Every + time.Duration(r.Float64()*float64(k.Every))
		a.Number, a.IP = k.number(r, c, i), k.address(r)
		if r.Float64() < k.Conv {
			a.Verify = 5 * time.Second
		}
		if k.Victims > 0 {
			a.Known = float64(i%k.Victims) < k.Known*float64(k.Victims)
		}
		out[i] = a
	}
	return Merge(out)
}

func (k Attack) number(r *rand.Rand, c Country, i int) string {
	block, n := r.IntN(max(k.Blocks, 1)), r.IntN(10000)
	switch {
	case k.Victims > 0:
		v := i % k.Victims
		block, n = v%k.Blocks, 1000+v
	case k.Blocks == 0:
		return c.number(c.block(r.IntN(c.Blocks)), n)
	case k.Sequence:
		block, n = i/10000%k.Blocks, i%10000
	}
	if k.Among {
		return c.number(c.block(k.First+block), n)
	}
	return c.number(k.First+block, n)
}

func (k Attack) address(r *rand.Rand) netip.Addr {
	switch k.Sources {
	case Network:
		a := netip.MustParseAddr("2001:db8:77::1").As16()
		a[6], a[7], a[15] = byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))
		return netip.AddrFrom16(a)
	case Home:
		n := r.IntN(10000)
		return netip.AddrFrom4([4]byte{byte(60 + n%19), byte(n >> 8), byte(n), byte(n*31 + 7)})
	case Few:
		n := r.IntN(20)
		return netip.AddrFrom4([4]byte{203, 0, byte(100 + n), 9})
	}
	return netip.AddrFrom4([4]byte{203, 0, 113, 9})
}
