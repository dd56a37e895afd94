package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A camara is an operator's API of the CAMARA project, with a two-legged token:
// the request holds the number.
type camara struct {
	client *http.Client
	base   string
	token  func(context.Context) (string, error)
}

// ask posts a request, and reads the answer into answer.
func (c *camara) ask(ctx context.Context, path string, request map[string]any, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // 400 OUT_OF_RANGE, 404 IDENTIFIER_NOT_FOUND, 422 SERVICE_NOT_APPLICABLE, …
		return fmt.Errorf("camara: %s answers %s", path, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(answer)
}

// simSwap asks for a proof if the SIM of an account's number was swapped within
// three days (SIM Swap 2.1). A new contract and a ported number count as swaps.
func (c *camara) simSwap(ctx context.Context, a otp.Attempt) (otp.Verdict, error) {
	v := otp.Verdict{Rule: "sim-swap"}
	if a.Phone.E164 == "" || a.Purpose != "payment" || a.Proven {
		return v, nil
	}
	var answer struct {
		Swapped bool `json:"swapped"`
	}
	err := c.ask(ctx, "/sim-swap/v2/check", map[string]any{"phoneNumber": a.Phone.E164, "maxAge": 72}, &answer)
	if answer.Swapped {
		v.Action = otp.StepUp
	}
	return v, err
}

// recycled refuses a number that was given to somebody else since the account
// had it verified (Number Recycling).
func (c *camara) recycled(verified func(subject string) time.Time) guard.Check {
	return func(ctx context.Context, a otp.Attempt) (otp.Verdict, error) {
		v, since := otp.Verdict{Rule: "recycled"}, verified(a.Subject)
		if a.Phone.E164 == "" || since.IsZero() {
			return v, nil
		}
		var answer struct {
			Changed bool `json:"phoneNumChanged"`
		}
		err := c.ask(ctx, "/number-recycling/v0.1/check", map[string]any{"phoneNumber": a.Phone.E164,
			"specifiedDate": since.Format(time.DateOnly)}, &answer)
		if answer.Changed {
			v.Action = otp.Refuse
		}
		return v, err
	}
}

// Checks by an operator's API, of the shapes that the CAMARA project defines.
func ExampleCheck() {
	operator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			PhoneNumber   string `json:"phoneNumber"`
			MaxAge        int    `json:"maxAge"`
			SpecifiedDate string `json:"specifiedDate"`
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		switch r.URL.Path {
		case "/sim-swap/v2/check":
			fmt.Fprintf(w, `{"swapped": %v}`, q.PhoneNumber == "+447912345671" && q.MaxAge == 72)
		case "/number-recycling/v0.1/check":
			fmt.Fprintf(w, `{"phoneNumChanged": %v}`,
				q.PhoneNumber == "+447912345672" && q.SpecifiedDate == "2026-01-02")
		}
	}))
	defer operator.Close()
	api := &camara{operator.Client(), operator.URL, func(context.Context) (string, error) { return "token", nil }}
	verified := func(string) time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) }
	g, err := guard.New(guard.Config{Limiter: memstore.New(memstore.Config{}), Index: index, Budget: 1000,
		Countries: map[string]guard.Country{"GB": {}}, CheckTimeout: 5 * time.Second,
		Checks: []guard.Check{api.simSwap, api.recycled(verified)}})
	if err != nil {
		panic(err)
	}
	for _, number := range []string{"+447912345670", "+447912345671", "+447912345672"} {
		v, err := g.Check(context.Background(), otp.Attempt{Subject: "ann", Purpose: "payment",
			Phone: phone.Number{E164: number, Region: "GB", Type: phone.Mobile}})
		fmt.Println(v.Action, v.Rule, err)
	}
	// Output:
	// allow  <nil>
	// step up sim-swap <nil>
	// refuse recycled <nil>
}

// A list is a table of an embedder's, in memory.
type list map[string]bool

func (l list) Contains(_ context.Context, number string) (bool, error) { return l[number], nil }
func (l list) Add(_ context.Context, number string) error              { l[number] = true; return nil }
func (l list) Remove(_ context.Context, number string) error           { delete(l, number); return nil }

// A person who answers STOP gets no message until START.
func ExampleSuppression() {
	ctx, optOut := context.Background(), guard.Suppression{List: list{}}
	g, err := guard.New(guard.Config{Limiter: memstore.New(memstore.Config{}), Index: index, Budget: 1000,
		Countries: map[string]guard.Country{"GB": {}}, Checks: []guard.Check{optOut.Check}})
	if err != nil {
		panic(err)
	}
	for _, text := range []string{"Thanks!", "Stop", "start"} {
		if _, err := optOut.Receive(ctx, "+447912345678", text); err != nil {
			panic(err)
		}
		v, _ := g.Check(ctx, otp.Attempt{Phone: phone.Number{E164: "+447912345678", Region: "GB", Type: phone.Mobile}})
		fmt.Printf("%s: %v\n", text, v.Action)
	}
	// Output:
	// Thanks!: allow
	// Stop: drop
	// start: allow
}
