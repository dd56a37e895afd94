package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// listen wakes the runner when the server tells of jobs, until ctx ends. While there is no
// connection, the runner looks for jobs each second.
func (r *runner) listen(ctx context.Context) {
	for r.s.listen != nil && ctx.Err() == nil {
		err := r.s.hear(ctx, func() {
			r.Link.Works(ctx, worker.Listening)
			worker.Signal(r.woken)
		})
		if ctx.Err() != nil {
			return
		}
		r.Link.Failed(ctx, worker.Listening, err, ctx.Done())
	}
}

// hear opens a connection, and calls told when it listens and at each notification, until
// the connection or ctx ends.
func (s *Store) hear(ctx context.Context, told func()) error {
	within, cancel := s.within(ctx)
	defer cancel()
	conn, err := s.listen(within)
	if err != nil {
		return err
	}
	defer s.hangUp(ctx, conn)
	if _, err := conn.Exec(within, inSchema(`LISTEN "otpcourier.jobs"`, s.schema)); err != nil {
		return err
	}
	for {
		told()
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// hangUp closes a connection that hear has opened.
func (s *Store) hangUp(ctx context.Context, conn *pgx.Conn) {
	within, cancel := s.within(context.WithoutCancel(ctx))
	defer cancel()
	_ = conn.Close(within)
}
