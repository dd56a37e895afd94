package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Check looks for settings that would lose stored data: of the server, or of all masters
// of a *redis.ClusterClient. It returns a warning for each, and logs it. A program should
// call it at its start. Hosted servers may hide their configuration from the user; Check
// does not warn of hidden settings. It returns an error if a server does not answer.
func (s *Store) Check(ctx context.Context) (warnings []string, err error) {
	warnings, err = bounded(ctx, s, func(ctx context.Context) ([]string, error) {
		if cluster, ok := s.client.(*redis.ClusterClient); ok {
			return examineAll(ctx, cluster)
		}
		return examine(ctx, s.client)
	})
	for _, w := range warnings {
		s.logger.WarnContext(ctx, "redisstore: "+w)
	}
	return warnings, err
}

// examineAll examines the masters. It returns equal warnings of several masters once.
func examineAll(ctx context.Context, cluster *redis.ClusterClient) (warnings []string, err error) {
	var mu sync.Mutex
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		found, err := examine(ctx, master)
		mu.Lock()
		defer mu.Unlock()
		for _, w := range found {
			if !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
		return err
	})
	return warnings, err
}

// examine looks at the INFO of one server.
func examine(ctx context.Context, client Client) ([]string, error) {
	cmd := redis.NewStringCmd(ctx, "info")
	_ = client.Process(ctx, cmd)
	info, err := cmd.Result()
	if err != nil {
		if _, refused := errors.AsType[redis.Error](err); refused {
			return nil, nil
		}
		return nil, err
	}
	return risks(fields(info)), nil
}

// fields returns the "name:value" lines of an INFO.
func fields(info string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			m[name] = value
		}
	}
	return m
}

// risks returns the warnings about an INFO. A missing field causes none.
func risks(info map[string]string) (warnings []string) {
	var major int
	if v := info["redis_version"]; v != "" {
		if _, err := fmt.Sscanf(v, "%d.", &major); err == nil && major < 7 {
			warnings = append(warnings, fmt.Sprintf("the server is of version %s; scripts take 7.0 or later", v))
		}
	}
	if p := info["maxmemory_policy"]; p != "" && p != "noeviction" {
		warnings = append(warnings, fmt.Sprintf("maxmemory-policy is %s: when memory is short the server drops "+
			"live challenges, failures that count, and limits; set it to noeviction", p))
	}
	if info["aof_enabled"] == "0" && info["connected_slaves"] == "0" {
		warnings = append(warnings, "the server has no append-only file and no replica: a restart forgets "+
			"attempts, failures, and which codes were used; set appendonly to yes, or add a replica")
	}
	if info["aof_enabled"] == "1" && info["aof_last_write_status"] == "err" {
		warnings = append(warnings, "the server cannot write its append-only file")
	}
	return warnings
}
