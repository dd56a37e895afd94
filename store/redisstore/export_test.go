package redisstore

import "time"

// Tidy makes each Run that begins remove idle consumers once in every, as soon as
// they have been idle for idle.
func (s *Store) Tidy(every, idle time.Duration) {
	s.queue.tidyEvery, s.queue.consumerIdle = every, idle
}

// EncodeJob returns a job as the queue keeps it, and DecodeJob reads it.
var (
	EncodeJob = encodeJob
	DecodeJob = decodeJob
)
