package main

import (
	"fmt"
	"net/url"
)

type rate struct {
	Rate *float64 `json:"rate"`
}

// keda scales by the length of a queue or by its rates.
func keda(api *API) error {
	queue, err := newQueue("keda x", 3, 2)
	if err != nil {
		return err
	}
	defer queue.close()
	type info struct {
		Messages               int    `json:"messages"`
		MessagesReady          int    `json:"messages_ready"`
		MessagesUnacknowledged int    `json:"messages_unacknowledged"`
		Name                   string `json:"name"`
		MessageStat            struct {
			PublishDetail    rate `json:"publish_details"`
			DeliverGetDetail rate `json:"deliver_get_details"`
		} `json:"message_stats"`
	}
	// It escapes names as if they were in a query: a blank comes as `+`.
	path := "/api/queues/%2F/" + url.QueryEscape(queue.name)
	if onPeer() {
		path = "/api/queues/%2F/" + url.PathEscape(queue.name)
	}
	err = waitUntil(func() error {
		var one info
		if err := api.get(path, &one); err != nil {
			return err
		}
		stats := one.MessageStat
		if one.Messages != 5 || one.MessagesUnacknowledged != 2 || stats.PublishDetail.Rate == nil || stats.DeliverGetDetail.Rate == nil {
			return fmt.Errorf("the queue is %+v", one)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var page struct {
		Queues []info `json:"items"`
		Pages  int    `json:"page_count"`
	}
	pattern := url.QueryEscape("^" + queue.name[:len(queue.name)-2])
	if onPeer() {
		// 3.10 gives a bare list for pagination=false, which it asks for all the same.
		return api.get("/api/queues?page=1&use_regex=true&name="+pattern+"&page_size=100", &page)
	}
	if err := api.get("/api/queues?page=1&use_regex=true&pagination=false&name="+pattern+"&page_size=100", &page); err != nil {
		return err
	}
	if len(page.Queues) != 1 || page.Pages != 1 || page.Queues[0].Messages != 5 {
		return fmt.Errorf("the page is %+v", page)
	}
	return nil
}

type details struct {
	Rate float64 `json:"rate"`
}

// The shapes into which Telegraf's input for RabbitMQ decodes; whole numbers are int64 there.
type telegrafOverview struct {
	MessageStats *struct {
		Ack               int64   `json:"ack"`
		AckDetails        details `json:"ack_details"`
		Deliver           int64   `json:"deliver"`
		DeliverDetails    details `json:"deliver_details"`
		DeliverGet        int64   `json:"deliver_get"`
		Publish           int64   `json:"publish"`
		PublishDetails    details `json:"publish_details"`
		PublishIn         int64   `json:"publish_in"`
		PublishOut        int64   `json:"publish_out"`
		ReturnUnroutable  int64   `json:"return_unroutable"`
		RedeliverDetails  details `json:"redeliver_details"`
		DeliverGetDetails details `json:"deliver_get_details"`
	} `json:"message_stats"`
	ObjectTotals *struct {
		Channels    int64 `json:"channels"`
		Connections int64 `json:"connections"`
		Consumers   int64 `json:"consumers"`
		Exchanges   int64 `json:"exchanges"`
		Queues      int64 `json:"queues"`
	} `json:"object_totals"`
	QueueTotals *struct {
		Messages                   int64 `json:"messages"`
		MessagesReady              int64 `json:"messages_ready"`
		MessagesUnacknowledged     int64 `json:"messages_unacknowledged"`
		MessageBytes               int64 `json:"message_bytes"`
		MessageBytesReady          int64 `json:"message_bytes_ready"`
		MessageBytesUnacknowledged int64 `json:"message_bytes_unacknowledged"`
		MessageRAM                 int64 `json:"message_bytes_ram"`
		MessagePersistent          int64 `json:"message_bytes_persistent"`
	} `json:"queue_totals"`
	Listeners []struct {
		Protocol string `json:"protocol"`
	} `json:"listeners"`
}

type telegrafNode struct {
	Name                 string  `json:"name"`
	DiskFree             int64   `json:"disk_free"`
	DiskFreeLimit        int64   `json:"disk_free_limit"`
	DiskFreeAlarm        bool    `json:"disk_free_alarm"`
	MemUsed              int64   `json:"mem_used"`
	MemLimit             int64   `json:"mem_limit"`
	MemAlarm             bool    `json:"mem_alarm"`
	FdTotal              int64   `json:"fd_total"`
	FdUsed               int64   `json:"fd_used"`
	ProcTotal            int64   `json:"proc_total"`
	ProcUsed             int64   `json:"proc_used"`
	RunQueue             int64   `json:"run_queue"`
	SocketsTotal         int64   `json:"sockets_total"`
	SocketsUsed          int64   `json:"sockets_used"`
	Running              bool    `json:"running"`
	Uptime               int64   `json:"uptime"`
	MnesiaDiskTxCount    int64   `json:"mnesia_disk_tx_count"`
	MnesiaDiskTxDetails  details `json:"mnesia_disk_tx_count_details"`
	MnesiaRAMTxCount     int64   `json:"mnesia_ram_tx_count"`
	GcNum                int64   `json:"gc_num"`
	GcNumDetails         details `json:"gc_num_details"`
	GcBytesReclaimed     int64   `json:"gc_bytes_reclaimed"`
	IoReadAvgTime        float64 `json:"io_read_avg_time"`
	IoReadAvgTimeDetails details `json:"io_read_avg_time_details"`
	IoReadBytes          int64   `json:"io_read_bytes"`
	IoWriteAvgTime       float64 `json:"io_write_avg_time"`
	IoWriteBytes         int64   `json:"io_write_bytes"`
}

type telegrafQueue struct {
	Name                 string  `json:"name"`
	Vhost                string  `json:"vhost"`
	Node                 string  `json:"node"`
	Durable              bool    `json:"durable"`
	AutoDelete           bool    `json:"auto_delete"`
	IdleSince            string  `json:"idle_since"`
	Consumers            int64   `json:"consumers"`
	ConsumerUtilisation  float64 `json:"consumer_utilisation"`
	Memory               int64   `json:"memory"`
	Messages             int64   `json:"messages"`
	MessagesReady        int64   `json:"messages_ready"`
	MessagesUnack        int64   `json:"messages_unacknowledged"`
	MessageBytes         int64   `json:"message_bytes"`
	MessageBytesReady    int64   `json:"message_bytes_ready"`
	MessageBytesUnack    int64   `json:"message_bytes_unacknowledged"`
	HeadMessageTimestamp *int64  `json:"head_message_timestamp"`
	MessageStats         struct {
		Ack               int64   `json:"ack"`
		Deliver           int64   `json:"deliver"`
		Publish           int64   `json:"publish"`
		Redeliver         int64   `json:"redeliver"`
		PublishDetails    details `json:"publish_details"`
		DeliverGetDetails details `json:"deliver_get_details"`
	} `json:"message_stats"`
	SlaveNodes             []string `json:"slave_nodes"`
	SynchronisedSlaveNodes []string `json:"synchronised_slave_nodes"`
}

func telegraf(api *API) error {
	queue, err := newQueue("telegraf", 1, 1)
	if err != nil {
		return err
	}
	defer queue.close()
	return waitUntil(func() error {
		var overview telegrafOverview
		if err := api.get("/api/overview", &overview); err != nil {
			return err
		}
		if overview.MessageStats == nil || overview.ObjectTotals == nil || overview.QueueTotals == nil || len(overview.Listeners) == 0 {
			return fmt.Errorf("Telegraf calls such an overview wrong: %+v", overview)
		}
		if err := telegrafNodes(api); err != nil {
			return err
		}
		var exchanges []struct {
			Name         string `json:"name"`
			Type         string `json:"type"`
			Vhost        string `json:"vhost"`
			Internal     bool   `json:"internal"`
			Durable      bool   `json:"durable"`
			AutoDelete   bool   `json:"auto_delete"`
			MessageStats struct {
				PublishIn        int64   `json:"publish_in"`
				PublishInDetails details `json:"publish_in_details"`
				PublishOut       int64   `json:"publish_out"`
			} `json:"message_stats"`
		}
		if err := api.get("/api/exchanges", &exchanges); err != nil {
			return err
		}
		var queues []telegrafQueue
		if err := api.get("/api/queues", &queues); err != nil {
			return err
		}
		for _, found := range queues {
			if found.Name == queue.name && found.Messages == 2 && found.HeadMessageTimestamp != nil && found.Consumers == 1 {
				return telegrafFederation(api)
			}
		}
		return fmt.Errorf("the queue is not among %d, or not with its messages", len(queues))
	})
}

func telegrafNodes(api *API) error {
	var nodes []telegrafNode
	if err := api.get("/api/nodes", &nodes); err != nil {
		return err
	}
	if len(nodes) != 1 || !nodes[0].Running || nodes[0].MemLimit == 0 || nodes[0].FdTotal == 0 || nodes[0].Uptime == 0 {
		return fmt.Errorf("the nodes are %+v", nodes)
	}
	var memory struct {
		Memory *struct {
			ConnectionReaders int64       `json:"connection_readers"`
			QueueProcs        int64       `json:"queue_procs"`
			Binary            int64       `json:"binary"`
			Plugins           int64       `json:"plugins"`
			Total             interface{} `json:"total"`
		} `json:"memory"`
	}
	if err := api.get("/api/nodes/"+nodes[0].Name+"/memory", &memory); err != nil {
		return err
	}
	if memory.Memory == nil {
		return fmt.Errorf("there is no memory")
	}
	switch total := memory.Memory.Total.(type) {
	case float64:
		return nil
	case map[string]interface{}:
		for _, key := range []string{"rss", "allocated"} {
			if _, isNumber := total[key].(float64); !isNumber {
				return fmt.Errorf("memory.total.%s is %v", key, total[key])
			}
		}
		return nil
	default:
		return fmt.Errorf("memory.total is %v", total)
	}
}

// telegrafFederation asks for what only a plugin has; it takes 404 for none.
func telegrafFederation(api *API) error {
	if onPeer() {
		return nil
	}
	var links []struct {
		Type     string `json:"type"`
		Upstream string `json:"upstream"`
	}
	return api.get("/api/federation-links", &links)
}

// datadog reads these fields, and passes over what is not there: that would be a graph without a line.
func datadog(api *API) error {
	queue, err := newQueue("datadog", 1, 1)
	if err != nil {
		return err
	}
	defer queue.close()
	return waitUntil(func() error {
		for _, asked := range []struct {
			path   string
			fields []string
		}{
			{"/api/vhosts", []string{"name"}},
			{"/api/overview", []string{"rabbitmq_version", "message_stats", "object_totals", "queue_totals", "cluster_name"}},
			{"/api/exchanges?columns=name,vhost,type", []string{"name", "vhost", "type"}},
			{"/api/queues/%2F/" + queue.name, []string{"consumers", "memory", "messages", "messages_details", "messages_ready",
				"messages_ready_details", "messages_unacknowledged", "messages_unacknowledged_details", "node", "vhost",
				"head_message_timestamp", "message_stats"}},
			{"/api/nodes", []string{"name", "fd_used", "disk_free", "mem_used", "mem_limit", "run_queue", "sockets_used",
				"partitions", "running", "mem_alarm", "disk_free_alarm"}},
			{"/api/connections", []string{"vhost", "state", "user", "channels", "name"}},
		} {
			if err := api.has(asked.path, asked.fields...); err != nil {
				return err
			}
		}
		var alive struct{ Status string }
		if err := api.get("/api/aliveness-test/%2F", &alive); err != nil {
			return err
		}
		if alive.Status != "ok" {
			return fmt.Errorf("the aliveness test says %q", alive.Status)
		}
		return nil
	})
}
