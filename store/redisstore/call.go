package redisstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

// How scripts go to a single server: so many in a pipeline, and so many
// pipelines at one time.
const (
	mostCalls = 128
	pipelines = 2
)

// A call is a script to run: EVALSHA, or EVAL, which brings the script.
type call struct {
	script *script
	words  []any
}

func (c *call) command(ctx context.Context, eval bool) *redis.Cmd {
	if eval {
		c.words[0], c.words[1] = "eval", c.script.source
	}
	cmd := redis.NewCmd(ctx, c.words...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// run runs a script and returns its reply, which is not null. store.ErrFull:
// the server is out of memory, and the script, which has not the flag
// allow-oom, was not run.
//
// The client may run it again when the reply was lost: a script that changes
// anything is given a [nonce], by which it knows that it did.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) (*redis.Cmd, error) {
	words := append(make([]any, 0, 3+len(keys)+len(args)), "evalsha", sc.hash, len(keys))
	for _, k := range keys {
		words = append(words, k)
	}
	return s.calls.ask(ctx, call{sc, append(words, args...)})
}

// calls returns what runs scripts by c: those that come while others are on
// their way go as one pipeline, if there is one server for all of them. On a
// Cluster each would wait for the slowest.
func calls(c Client, timeout time.Duration) *gatherer[call, *redis.Cmd] {
	g := &gatherer[call, *redis.Cmd]{timeout: timeout, most: 1, ways: math.MaxInt}
	one, _ := c.(*redis.Client)
	if one != nil {
		g.most, g.ways, g.punctual = mostCalls, pipelines, one.Options().ContextTimeoutEnabled
	}
	g.answer = func(ctx context.Context, batch []*asked[call, *redis.Cmd]) {
		for _, eval := range []bool{false, true} {
			cmds := make([]redis.Cmder, len(batch))
			for i, a := range batch {
				cmds[i] = a.question.command(ctx, eval)
			}
			if len(cmds) == 1 {
				_ = c.Process(ctx, cmds[0]) // what this returns is in the commands
			} else {
				p := one.Pipeline()
				_ = p.BatchProcess(ctx, cmds...)
				_, _ = p.Exec(ctx)
			}
			var unknown []*asked[call, *redis.Cmd] // after a start, a failover, or SCRIPT FLUSH
			for i, a := range batch {
				cmd, _ := cmds[i].(*redis.Cmd)
				switch err := cmd.Err(); {
				case err == nil:
					a.reply(cmd, nil)
				case !eval && redis.HasErrorPrefix(err, "NOSCRIPT"):
					unknown = append(unknown, a)
				case redis.HasErrorPrefix(err, "OOM"):
					a.reply(nil, store.ErrFull)
				default:
					a.reply(nil, fmt.Errorf("redisstore: %w", err))
				}
			}
			if batch = unknown; len(batch) == 0 {
				return
			}
		}
	}
	return g
}

// unreadable is a reply that is not what it has to be.
func unreadable(what string, err error) error {
	if err == nil {
		return fmt.Errorf("redisstore: %s: a reply that cannot be read", what)
	}
	return fmt.Errorf("redisstore: %s: %w", what, err)
}
