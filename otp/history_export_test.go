package otp

import (
	"time"

	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// HistoryDelivery returns the delivery of a record.
func (s *Service) HistoryDelivery(r *store.Record) (*delivery.Delivery, error) {
	plain, err := s.keys.signed(r)
	if err != nil {
		return nil, err
	}
	return delivery.Decode(plain)
}

// HistoryShift moves the times in the delivery of a record, as a process would have
// written them whose clock is ahead by that much.
func (s *Service) HistoryShift(r *store.Record, by time.Duration) error {
	if by == 0 || len(r.Delivery) == 0 {
		return nil
	}
	d, err := s.HistoryDelivery(r)
	if err != nil {
		return err
	}
	times := []*time.Time{&d.Asked, &d.At}
	for i := range d.Charges {
		times = append(times, &d.Charges[i].At)
	}
	for _, t := range times {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
	r.Delivery, err = s.keys.sign(r, d.Encode())
	return err
}

// HistoryID returns the store's form of a public ID.
func (s *Service) HistoryID(public string) string {
	i, ok := s.keys.parseID(public)
	if !ok {
		return ""
	}
	return i.store()
}

// HistoryLimitKey returns the key of an address's limit, by its kind: "phone".
func (s *Service) HistoryLimitKey(kind, address string, per time.Duration) string {
	return s.keys.limitsKey("", kind, address) + per.String()
}
