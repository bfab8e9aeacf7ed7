package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const arrivalTimeMax = 30 * time.Second
const clockSkewMax = time.Minute

// Every name that was given out, so that the program can delete what was declared under it.
var given []string

func unique(what string) string {
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	name := "interop-amqp091-go-" + what + "-" + hex.EncodeToString(random)
	given = append(given, name)
	return name
}

// equal says what differs: the first error wins, so that a capability can check several things in a row.
func equal(what string, actual, expected interface{}) error {
	if reflect.DeepEqual(actual, expected) {
		return nil
	}
	return fmt.Errorf("%s: expected %#v, not %#v", what, expected, actual)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func next(deliveries <-chan amqp.Delivery) (amqp.Delivery, error) {
	select {
	case delivery, open := <-deliveries:
		if !open {
			return delivery, errors.New("the consumer has ended")
		}
		return delivery, nil
	case <-time.After(arrivalTimeMax):
		return amqp.Delivery{}, errors.New("no message arrives")
	}
}

// refused checks the reply code and the text with which the broker closed a channel.
func refused(err error, code int, text string) error {
	var refusal *amqp.Error
	if !errors.As(err, &refusal) {
		return fmt.Errorf("expected a refusal with %d, not %v", code, err)
	}
	return first(equal("reply code", refusal.Code, code), equal("reply text", refusal.Reason, text))
}

// death checks an entry of x-death. Every queue here is published to through the default exchange, under its own name.
func death(entry interface{}, queue, reason string, count int64) error {
	table, isTable := entry.(amqp.Table)
	if !isTable {
		return fmt.Errorf("an entry of x-death is %#v", entry)
	}
	died, _ := table["time"].(time.Time)
	if skew := time.Since(died); skew > clockSkewMax || skew < -clockSkewMax {
		return fmt.Errorf("x-death's time is %#v", table["time"])
	}
	return first(
		equal("x-death's queue", table["queue"], queue),
		equal("x-death's reason", table["reason"], reason),
		equal("x-death's count", table["count"], count),
		equal("x-death's exchange", table["exchange"], ""),
		equal("x-death's routing-keys", table["routing-keys"], []interface{}{queue}),
	)
}
