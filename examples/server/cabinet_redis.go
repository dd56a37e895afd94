package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A redisCabinet is for any number of processes.
type redisCabinet struct {
	client *redis.Client
	prefix string
}

func (r *redisCabinet) put(ctx context.Context, name string, value []byte, life time.Duration) error {
	return r.client.Set(ctx, r.prefix+name, value, life).Err()
}

func (r *redisCabinet) get(ctx context.Context, name string) ([]byte, error) {
	return gone(r.client.Get(ctx, r.prefix+name).Bytes())
}

func (r *redisCabinet) take(ctx context.Context, name string) ([]byte, error) {
	return gone(r.client.GetDel(ctx, r.prefix+name).Bytes())
}

// list looks at every key of the server: it is for an operator's rare question.
func (r *redisCabinet) list(ctx context.Context, prefix string) (names []string, _ error) {
	for it := r.client.Scan(ctx, 0, r.prefix+prefix+"*", 1000).Iterator(); ; {
		if !it.Next(ctx) {
			slices.Sort(names)
			return slices.Compact(names), it.Err()
		}
		names = append(names, strings.TrimPrefix(it.Val(), r.prefix))
	}
}

func gone(value []byte, err error) ([]byte, error) {
	if errors.Is(err, redis.Nil) {
		return nil, errGone
	}
	return value, err
}
