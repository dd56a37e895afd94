package redisstore

// A parser takes values from the front of rest. If rest is too short it sets bad
// and returns zeros, so that its user checks bad once, at the end.
type parser struct {
	rest string
	bad  bool
}

var zeros = string(make([]byte, 16))

func (p *parser) take(n int) string {
	if n > len(p.rest) {
		p.bad, p.rest = true, ""
		return zeros[:min(n, len(zeros))]
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

func (p *parser) byte() byte { return p.take(1)[0] }

func (p *parser) int64() int64 {
	s := p.take(8)
	return int64(s[0])<<56 | int64(s[1])<<48 | int64(s[2])<<40 | int64(s[3])<<32 |
		int64(s[4])<<24 | int64(s[5])<<16 | int64(s[6])<<8 | int64(s[7])
}

func (p *parser) uvarint() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		b := p.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	p.bad = true
	return 0
}

func (p *parser) string() string {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.bad = true
		return ""
	}
	return p.take(int(n))
}
