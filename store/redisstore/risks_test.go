package redisstore

import (
	"testing"
)

func TestRisks(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]int{
		"":                                                0,
		"redis_version:6.2.1\r\n":                         1,
		"redis_version:7.2.4\r\nx\r\n":                    0,
		"redis_version:unknown\r\n":                       0,
		"maxmemory_policy:noeviction":                     0,
		"maxmemory_policy:volatile-lru":                   1,
		"aof_enabled:0\r\nconnected_slaves:0":             1,
		"aof_enabled:0\r\nconnected_slaves:1":             0,
		"aof_enabled:1\r\nconnected_slaves:0":             0,
		"aof_enabled:1\r\naof_last_write_status:err\r\n":  1,
		"maxmemory_policy:allkeys-lru\r\naof_enabled:0\r": 1,
	} {
		if got := risks(fields(info)); len(got) != want {
			t.Errorf("%q: %q, want %d", info, got, want)
		}
	}
}
