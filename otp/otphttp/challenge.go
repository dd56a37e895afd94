package otphttp

import (
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// A Challenge is the API's form of an [otp.Challenge].
type Challenge struct {
	ID        string   `json:"id"`
	Status    string   `json:"status"` // pending, verified, cancelled
	Next      otp.Next `json:"next"`   // the best that the person can do
	Purpose   string   `json:"purpose,omitempty"`
	Reference string   `json:"reference,omitempty"`
	To        To       `json:"to"` // masked
	Delivery  Delivery `json:"delivery"`
	Used      []string `json:"used,omitempty"` // kinds of address that a message went to: a code proves one

	Created      time.Time  `json:"created"`
	Expires      time.Time  `json:"expires"`
	ExpiresIn    int        `json:"expires_in"` // seconds from the answer, since clocks differ
	ResendAt     *time.Time `json:"resend_at,omitempty"`
	ResendIn     *int       `json:"resend_in,omitempty"` // seconds from the answer; absent: no resend is possible
	SendsLeft    int        `json:"sends_left"`
	AttemptsLeft int        `json:"attempts_left"`
	Alternatives []string   `json:"alternatives,omitempty"`
	Fixed        bool       `json:"fixed,omitempty"` // an app reviewer's: nothing was sent
}

// To holds the addresses of a person, masked in answers.
type To struct {
	Phone string `json:"phone,omitempty"`
	Email string `json:"email,omitempty"`
	Push  string `json:"push,omitempty"`
	Chat  string `json:"chat,omitempty"`
}

// Delivery is the state of the latest message.
type Delivery struct {
	State     channel.State `json:"state"`
	Delivered bool          `json:"delivered"` // a message was reported delivered
	Route     string        `json:"route,omitempty"`
	Address   string        `json:"address,omitempty"` // the kind of address that it went to
}

// statuses are the outcomes in the words of the API.
var statuses = map[store.Outcome]string{store.Open: "pending", store.Verified: "verified", store.Cancelled: "cancelled"}

// ChallengeOf returns the API's form of a challenge; now is the time of the answer.
func ChallengeOf(c *otp.Challenge, now time.Time) Challenge {
	shown := Challenge{ID: c.ID, Status: statuses[c.Outcome], Next: c.Next, Purpose: c.Purpose, Reference: c.Reference,
		To: To(c.To.Masked()), Delivery: Delivery{State: c.State, Delivered: c.Delivered, Route: c.Route},
		Used: names(c.Used), Created: c.Created.UTC(), Expires: c.Expires.UTC(),
		ExpiresIn: int(max(0, c.Expires.Sub(now)/time.Second)), SendsLeft: c.SendsLeft, AttemptsLeft: c.AttemptsLeft,
		Alternatives: names(c.Alternatives), Fixed: c.Fixed}
	if c.Address != 0 {
		shown.Delivery.Address = c.Address.String()
	}
	if !c.ResendAt.IsZero() {
		at, in := c.ResendAt.UTC(), roundUp(c.ResendAt.Sub(now))
		shown.ResendAt, shown.ResendIn = &at, &in
	}
	return shown
}
