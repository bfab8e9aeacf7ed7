package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

type object = map[string]interface{}

// terraform makes things, reads them back to see whether they are as it wants, and removes them.
func terraform(api *API) error {
	vhost, user := unique("v"), unique("u")
	steps := []struct {
		method, path string
		body         any
		status       int
	}{
		{"PUT", "/api/vhosts/" + vhost, object{"description": "d", "default_queue_type": "classic"}, 201},
		{"PUT", "/api/vhost-limits/" + vhost + "/max-queues", object{"value": 50}, 204},
		{"PUT", "/api/users/" + user, object{"name": user, "password": "secret", "tags": "monitoring"}, 201},
		{"PUT", "/api/permissions/" + vhost + "/" + user, object{"configure": ".*", "write": ".*", "read": ".*"}, 201},
		{"PUT", "/api/permissions/" + vhost + "/guest", object{"configure": ".*", "write": ".*", "read": ".*"}, -1},
		{"PUT", "/api/topic-permissions/" + vhost + "/" + user, object{"exchange": "amq.topic", "write": "^a", "read": "^b"}, 201},
		{"PUT", "/api/policies/" + vhost + "/p", object{"pattern": "^q", "definition": object{"max-length": 5}, "priority": 1, "apply-to": "queues"}, 201},
		{"PUT", "/api/operator-policies/" + vhost + "/o", object{"pattern": "^q", "definition": object{"max-length": 9}, "apply-to": "queues"}, 201},
		{"PUT", "/api/exchanges/" + vhost + "/x", object{"type": "topic", "durable": true, "auto_delete": false}, 201},
		{"PUT", "/api/queues/" + vhost + "/q", object{"durable": true, "auto_delete": false, "arguments": object{"x-max-length": 10}}, 201},
		{"POST", "/api/bindings/" + vhost + "/e/x/q/q", object{"routing_key": "a.#", "arguments": object{"n": 1}}, 201},
	}
	for _, step := range steps {
		status := step.status
		if status == -1 {
			// Who makes a virtual host may have been given the permission already.
			if status = 204; api.call(step.method, step.path, step.body, 201, nil) == nil {
				continue
			}
		}
		if err := api.call(step.method, step.path, step.body, status, nil); err != nil {
			return err
		}
	}
	if err := terraformReads(api, vhost, user); err != nil {
		return err
	}
	for _, path := range []string{
		"/api/queues/" + vhost + "/q", "/api/exchanges/" + vhost + "/x", "/api/policies/" + vhost + "/p", "/api/users/" + user,
		"/api/vhosts/" + vhost,
	} {
		if err := api.call("DELETE", path, nil, 204, nil); err != nil {
			return err
		}
		if err := api.call("GET", path, nil, 404, nil); err != nil {
			return err
		}
	}
	return nil
}

func terraformReads(api *API, vhost, user string) error {
	var bindings []struct {
		Source          string `json:"source"`
		Vhost           string `json:"vhost"`
		Destination     string `json:"destination"`
		DestinationType string `json:"destination_type"`
		RoutingKey      string `json:"routing_key"`
		Arguments       object `json:"arguments"`
		PropertiesKey   string `json:"properties_key"`
	}
	path := "/api/bindings/" + vhost + "/e/x/q/q"
	if err := api.get(path, &bindings); err != nil {
		return err
	}
	if len(bindings) != 1 || bindings[0].RoutingKey != "a.#" || !strings.HasPrefix(bindings[0].PropertiesKey, "a.%23~") {
		return fmt.Errorf("the bindings are %+v", bindings)
	}
	if err := api.call("DELETE", path+"/"+url.PathEscape(bindings[0].PropertiesKey), nil, 204, nil); err != nil {
		return err
	}
	var policy struct {
		Vhost      string `json:"vhost"`
		Pattern    string `json:"pattern"`
		ApplyTo    string `json:"apply-to"`
		Name       string `json:"name"`
		Priority   int    `json:"priority"`
		Definition object `json:"definition"`
	}
	if err := api.get("/api/policies/"+vhost+"/p", &policy); err != nil {
		return err
	}
	var queue struct {
		Name       string      `json:"name"`
		Durable    bool        `json:"durable"`
		AutoDelete interface{} `json:"auto_delete"`
		Arguments  object      `json:"arguments"`
	}
	if err := api.get("/api/queues/"+vhost+"/q", &queue); err != nil {
		return err
	}
	if policy.Priority != 1 || policy.ApplyTo != "queues" || !queue.Durable || queue.Arguments["x-max-length"] != 10.0 {
		return fmt.Errorf("policy %+v, queue %+v", policy, queue)
	}
	var permissions struct {
		User, Vhost, Configure, Write, Read string
	}
	if err := api.get("/api/permissions/"+vhost+"/"+user, &permissions); err != nil {
		return err
	}
	var topics []struct {
		User, Vhost, Exchange, Write, Read string
	}
	if err := api.get("/api/topic-permissions/"+vhost+"/"+user, &topics); err != nil {
		return err
	}
	var limits []struct {
		Vhost string         `json:"vhost"`
		Value map[string]int `json:"value"`
	}
	if err := api.get("/api/vhost-limits/"+vhost, &limits); err != nil {
		return err
	}
	if len(topics) != 1 || len(limits) != 1 || limits[0].Value["max-queues"] != 50 {
		return fmt.Errorf("topic permissions %+v, limits %+v", topics, limits)
	}
	return nil
}

// nservicebus looks at the broker before it sends anything, and makes a policy for each of its queues.
func nservicebus(api *API) error {
	var overview struct {
		Version      *string `json:"rabbitmq_version"`
		DisableStats *bool   `json:"disable_stats"`
	}
	if err := api.get("/api/overview", &overview); err != nil {
		return err
	}
	if overview.Version == nil || overview.DisableStats == nil || *overview.DisableStats {
		return fmt.Errorf("the overview has no version or no statistics")
	}
	var flags []struct {
		Name  string `json:"name"`
		State string `json:"state"`
	}
	if err := api.get("/api/feature-flags", &flags); err != nil {
		return err
	}
	enabled := false
	for _, flag := range flags {
		enabled = enabled || flag.Name == "stream_queue" && flag.State == "enabled"
	}
	if !enabled {
		return fmt.Errorf("stream_queue is not enabled")
	}
	queue, err := newQueue("nservicebus", 0, 0)
	if err != nil {
		return err
	}
	defer queue.close()
	policy := object{"pattern": "^" + queue.name + "$", "definition": object{"max-length": 100000}, "priority": 0, "apply-to": "queues"}
	if err := api.call("PUT", "/api/policies/%2F/"+queue.name, policy, 201, nil); err != nil {
		return err
	}
	defer api.call("DELETE", "/api/policies/%2F/"+queue.name, nil, 204, nil)
	return waitUntil(func() error {
		var found struct {
			Durable             bool            `json:"durable"`
			AppliedPolicyName   string          `json:"policy"`
			EffectiveDefinition *object         `json:"effective_policy_definition"`
			DeliveryLimit       json.RawMessage `json:"delivery_limit"`
			Arguments           *object         `json:"arguments"`
			QueueType           string          `json:"type"`
			Messages            *int64          `json:"messages"`
		}
		if err := api.get("/api/queues/%2F/"+queue.name, &found); err != nil {
			return err
		}
		if found.EffectiveDefinition == nil || found.AppliedPolicyName != queue.name || found.Arguments == nil {
			return fmt.Errorf("the queue is %+v", found)
		}
		return nil
	})
}

// masstransit's harness lists what there is before each test, to delete it.
func masstransit(api *API) error {
	queue, err := newQueue("masstransit", 0, 0)
	if err != nil {
		return err
	}
	defer queue.close()
	for _, path := range []string{"/api/exchanges/%2F", "/api/queues/%2F"} {
		var listed []struct {
			Name *string `json:"name"`
		}
		if err := api.get(path, &listed); err != nil {
			return err
		}
		for _, each := range listed {
			if each.Name == nil {
				return fmt.Errorf("%s has something without a name", path)
			}
		}
	}
	return nil
}

// hutch refuses to start when it cannot see exchanges and bindings.
func hutch(api *API) error {
	queue, err := newQueue("hutch", 0, 0)
	if err != nil {
		return err
	}
	defer queue.close()
	if err := api.has("/api/exchanges", "name", "vhost", "type", "durable"); err != nil {
		return err
	}
	return api.has("/api/bindings", "source", "vhost", "destination", "destination_type", "routing_key", "arguments", "properties_key")
}
