package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

// A manner is how a batch of calls goes to the server.
type manner struct {
	eval   bool // by EVAL, which brings the script
	joined bool // calls of one script go together
}

// send replies to a batch of calls, and returns those for the next manner. These are calls
// whose script the server does not have: after a start, a failover, or SCRIPT FLUSH. And if
// one of the calls that went together failed, all of them are.
func (m manner) send(ctx context.Context, c Client, batch []*sent) (next []*sent) {
	groups := m.groups(batch)
	cmds := make([]redis.Cmder, len(groups))
	for i, g := range groups {
		cmds[i] = m.command(ctx, g)
	}
	if one, ok := c.(*redis.Client); ok && len(cmds) > 1 {
		p := one.Pipeline()
		_ = p.BatchProcess(ctx, cmds...)
		_, _ = p.Exec(ctx)
	} else {
		_ = c.Process(ctx, cmds[0]) // the commands hold the error
	}
	for i, g := range groups {
		cmd, _ := cmds[i].(*redis.Cmd)
		if !m.reply(g, cmd) {
			next = append(next, g...)
		}
	}
	return next
}

// groups returns the calls of a batch in groups, each for one command.
func (m manner) groups(batch []*sent) [][]*sent {
	groups := make([][]*sent, 0, len(batch))
each:
	for _, r := range batch {
		if m.joins(r.query) {
			for i, g := range groups {
				if g[0].query.script == r.query.script && len(g) < maxJoined && m.joins(g[0].query) {
					groups[i] = append(g, r)
					continue each
				}
			}
		}
		groups = append(groups, []*sent{r})
	}
	return groups
}

// joins reports whether a call may go together with others.
func (m manner) joins(c call) bool {
	return m.joined && c.script.joined != nil && len(c.keys)+len(c.args) <= maxWords
}

// command returns the command of a group.
func (m manner) command(ctx context.Context, group []*sent) *redis.Cmd {
	script, keys, args := group[0].query.script, 0, 0
	for _, r := range group {
		keys, args = keys+len(r.query.keys), args+len(r.query.args)
	}
	words := make([]any, 2, 4+keys+args)
	if len(group) > 1 {
		script = script.joined
	}
	words[0], words[1] = "evalsha", script.hash
	if m.eval {
		words[0], words[1] = "eval", script.source
	}
	words = append(words, keys)
	for _, r := range group {
		for _, k := range r.query.keys {
			words = append(words, k)
		}
	}
	if len(group) > 1 {
		counts := make([]byte, 0, 2*len(group))
		for _, r := range group {
			counts = append(counts, byte(len(r.query.keys)), byte(len(r.query.args)))
		}
		words = append(words, counts)
	}
	for _, r := range group {
		words = append(words, r.query.args...)
	}
	cmd := redis.NewCmd(ctx, words...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// reply replies to the calls of a group, unless they are for the next manner.
func (m manner) reply(group []*sent, cmd *redis.Cmd) bool {
	replies := []reply{cmd.Val()}
	err := cmd.Err()
	if err == nil && len(group) > 1 {
		if replies, _ = cmd.Val().([]reply); len(replies) != len(group) {
			err = unreadable("several calls", nil)
		}
	}
	var said redis.Error
	switch {
	case redis.HasErrorPrefix(err, "OOM"):
		err = store.ErrFull
	case errors.As(err, &said) && (len(group) > 1 || !m.eval && redis.HasErrorPrefix(err, "NOSCRIPT")):
		return false
	case err != nil:
		err = fmt.Errorf("redisstore: %w", err)
	}
	for i, r := range group {
		if err != nil {
			r.reply(nil, err)
		} else {
			r.reply(replies[i], nil)
		}
	}
	return true
}
