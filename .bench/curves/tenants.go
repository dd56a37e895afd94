package main

import (
	"fmt"
	"math"
	"runtime"

	"github.com/otpcourier/otpcourier/store/memstore"
)

// measureTenants: one Service for several brands, in memory.
func measureTenants(b *bench) ([]table, error) {
	t := table{
		title: fmt.Sprintf("**Tenants** of one Service, in memory, %d goroutines. A code is as above.", callers),
		heads: []string{"tenants", "codes/s", "p99 of a code, µs", "CPU of a code, µs", "octets of a tenant",
			"SHA-256, million/s"},
	}
	for _, n := range []int{1, 10, 100, 1000} {
		s := memstore.New(memstore.Config{})
		empty := heap()
		c, err := newCodes(b.ctx, s, n)
		if err != nil {
			return nil, err
		}
		each := (int64(heap()) - int64(empty)) / int64(n)
		machine := speed()
		f, err := measure(callers, math.MaxInt, b.each, c.one)
		if err != nil {
			return nil, err
		}
		runtime.KeepAlive(s)
		t.add(n, thousands(f.rate), micros(f.p99), micros(f.cpu.all()), thousands(each), machine)
	}
	return []table{t}, nil
}
