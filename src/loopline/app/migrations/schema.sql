-- Made from the revisions by `make schema`; of revisions 4b5929076f99674987479eb3a22d4af1285302088bd48a80e51bbf85f1c3b56a
BEGIN IMMEDIATE;
CREATE TABLE access_codes (
	hash TEXT NOT NULL, 
	token_name TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	PRIMARY KEY (hash)
);
CREATE TABLE access_sessions (
	hash TEXT NOT NULL, 
	token_name TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	PRIMARY KEY (hash)
);
CREATE TABLE access_tokens (
	name TEXT NOT NULL, 
	role INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	revoked_at TEXT, endpoints TEXT, expires_at TEXT, 
	PRIMARY KEY (name), 
	UNIQUE (hash)
);
CREATE TABLE automation_cursors (
	name TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE automation_deliveries (
	name TEXT NOT NULL, 
	firing TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE automation_firings (
	id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	project TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	dedupe_key TEXT NOT NULL, 
	because BIGINT, 
	cause TEXT NOT NULL, 
	event_at TEXT, 
	fired_at TEXT NOT NULL, 
	fired_by TEXT NOT NULL, 
	rules TEXT NOT NULL, 
	code TEXT NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	started_seq BIGINT, 
	started_at TEXT, 
	ended_at TEXT, 
	run_id TEXT, 
	model TEXT, 
	version INTEGER, 
	alias TEXT, 
	gate_id TEXT, 
	verdict TEXT, 
	promoted INTEGER NOT NULL, fence BIGINT DEFAULT '0' NOT NULL, beat BIGINT DEFAULT '0' NOT NULL, pipeline TEXT DEFAULT '' NOT NULL, environment TEXT DEFAULT '' NOT NULL, release TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (seq), 
	UNIQUE (dedupe_key)
);
CREATE TABLE automation_holds (
	firing TEXT NOT NULL, 
	model TEXT NOT NULL, 
	alert TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	project TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	since TEXT NOT NULL, 
	lifted_at TEXT NOT NULL, 
	lifted_by TEXT NOT NULL, 
	PRIMARY KEY (firing)
);
CREATE TABLE automation_slots (
	pipeline TEXT NOT NULL, 
	slot INTEGER NOT NULL, 
	firing TEXT NOT NULL, 
	PRIMARY KEY (pipeline, slot), 
	UNIQUE (firing)
);
CREATE TABLE datasets_batches (
	dataset TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	stamp TEXT NOT NULL, 
	format TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	bytes INTEGER NOT NULL, 
	columns TEXT NOT NULL, 
	state TEXT NOT NULL, 
	report TEXT, 
	seen_at TEXT NOT NULL, 
	PRIMARY KEY (dataset, name, digest), 
	FOREIGN KEY(dataset) REFERENCES datasets_datasets (name)
);
CREATE TABLE datasets_datasets (
	name TEXT NOT NULL, 
	source TEXT NOT NULL, 
	contract TEXT, 
	latest TEXT, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	changed_at TEXT NOT NULL, retired_at TEXT, 
	PRIMARY KEY (name)
);
CREATE TABLE datasets_snapshots (
	dataset TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	parent TEXT, 
	rows INTEGER NOT NULL, 
	bytes INTEGER NOT NULL, 
	columns TEXT NOT NULL, 
	parts TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	taken_at TEXT NOT NULL, 
	taken_by TEXT NOT NULL, 
	PRIMARY KEY (dataset, digest), 
	FOREIGN KEY(dataset) REFERENCES datasets_datasets (name)
);
CREATE TABLE imports_imports (
	id TEXT NOT NULL, 
	source TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	ended_at TEXT, 
	actor TEXT NOT NULL, 
	report TEXT DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE imports_things (
	source TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	target TEXT NOT NULL, 
	stamp TEXT DEFAULT '' NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (source, kind, name)
)
 WITHOUT ROWID

;
CREATE TABLE ledger_facts (
	seq BIGINT NOT NULL, 
	at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	body TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE loopline_schema (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT loopline_schema_pkc PRIMARY KEY (version_num)
);
INSERT INTO "loopline_schema" VALUES('0035_monitors');
CREATE TABLE monitoring_alerts (
	id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	endpoint TEXT NOT NULL, 
	cause TEXT NOT NULL, 
	state TEXT NOT NULL, 
	model TEXT NOT NULL, 
	version INTEGER, 
	first_window TEXT NOT NULL, 
	last_window TEXT NOT NULL, 
	value FLOAT, 
	limit_value FLOAT, 
	message TEXT NOT NULL, 
	opened_at TEXT NOT NULL, 
	changed_at TEXT NOT NULL, 
	changed_by TEXT NOT NULL, 
	note TEXT NOT NULL, details TEXT DEFAULT '{}' NOT NULL, verdict TEXT DEFAULT '' NOT NULL, judged_by TEXT DEFAULT '' NOT NULL, judged_at TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (seq)
);
CREATE TABLE monitoring_backtests (
	id TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	asked_by TEXT NOT NULL, 
	asked_at TEXT NOT NULL, 
	result TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE monitoring_beats (
	name TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	at TEXT NOT NULL, 
	details TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE monitoring_budgets (
	endpoint TEXT NOT NULL, 
	basis TEXT NOT NULL, 
	until_at TEXT NOT NULL, 
	choice TEXT NOT NULL, 
	chosen_at TEXT NOT NULL, 
	PRIMARY KEY (endpoint, basis)
);
CREATE TABLE monitoring_deliveries (
	id TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	message TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	alert TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	state TEXT NOT NULL, 
	tries INTEGER NOT NULL, 
	not_before TEXT NOT NULL, 
	error TEXT NOT NULL, 
	carried_by TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	ended_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE monitoring_drift (
	endpoint TEXT NOT NULL, 
	start_at TEXT NOT NULL, 
	column_name TEXT NOT NULL, 
	end_at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	p_value FLOAT, 
	e_value FLOAT, 
	effect FLOAT, 
	unit TEXT NOT NULL, 
	direction TEXT NOT NULL, 
	change TEXT NOT NULL, 
	alarm INTEGER NOT NULL, 
	statistics TEXT NOT NULL, 
	reference TEXT NOT NULL, 
	since TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	changed_at TEXT NOT NULL, 
	PRIMARY KEY (endpoint, start_at, column_name)
);
CREATE TABLE monitoring_endpoints (
	endpoint TEXT NOT NULL, 
	mark TEXT NOT NULL, 
	summary TEXT NOT NULL, 
	evaluated_at TEXT NOT NULL, 
	PRIMARY KEY (endpoint)
);
CREATE TABLE monitoring_estimates (
	endpoint TEXT NOT NULL, 
	start_at TEXT NOT NULL, 
	metric TEXT NOT NULL, 
	method TEXT NOT NULL, 
	end_at TEXT NOT NULL, 
	value FLOAT, 
	low FLOAT, 
	high FLOAT, 
	spread FLOAT, 
	first_value FLOAT, 
	first_low FLOAT, 
	first_high FLOAT, 
	first_spread FLOAT, 
	first_share FLOAT, 
	realized FLOAT, 
	row_count BIGINT NOT NULL, 
	share FLOAT NOT NULL, 
	version INTEGER, 
	as_of TEXT NOT NULL, 
	complete INTEGER NOT NULL, 
	mature INTEGER NOT NULL, 
	warning TEXT NOT NULL, 
	basis TEXT NOT NULL, 
	changed_at TEXT NOT NULL, 
	PRIMARY KEY (endpoint, start_at, metric, method)
);
CREATE TABLE monitoring_messages (
	id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	alert TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	state TEXT NOT NULL, 
	content TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	addressed INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE monitoring_windows (
	endpoint TEXT NOT NULL, 
	start_at TEXT NOT NULL, 
	column_name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	end_at TEXT NOT NULL, 
	predictions INTEGER NOT NULL, 
	labelled INTEGER NOT NULL, 
	complete INTEGER NOT NULL, 
	mature INTEGER NOT NULL, 
	metrics TEXT NOT NULL, 
	quality TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	changed_at TEXT NOT NULL, 
	PRIMARY KEY (endpoint, start_at, column_name, value)
);
CREATE TABLE pipelines_codes (
	digest TEXT NOT NULL, 
	pieces TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE pipelines_keys (
	"key" TEXT NOT NULL, 
	step TEXT NOT NULL, 
	code TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	seen_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
CREATE TABLE pipelines_plans (
	stamp TEXT NOT NULL, 
	"plan" TEXT NOT NULL, 
	made_at TEXT NOT NULL, 
	PRIMARY KEY (stamp)
);
CREATE TABLE pipelines_results (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	run_id TEXT NOT NULL, 
	made_at TEXT NOT NULL, 
	seconds DOUBLE NOT NULL, used_at TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
CREATE TABLE pipelines_runs (
	run_id TEXT NOT NULL, 
	pipeline TEXT NOT NULL, 
	project TEXT NOT NULL, 
	folder TEXT NOT NULL, 
	"plan" TEXT NOT NULL, 
	source TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	seconds DOUBLE, 
	outputs TEXT DEFAULT '[]' NOT NULL, 
	model TEXT, 
	version INTEGER, file TEXT DEFAULT '' NOT NULL, registers TEXT DEFAULT '' NOT NULL, executor TEXT DEFAULT '' NOT NULL, params TEXT DEFAULT '' NOT NULL, release TEXT DEFAULT '' NOT NULL, environment TEXT DEFAULT '' NOT NULL, same_as TEXT DEFAULT '' NOT NULL, basis TEXT DEFAULT '' NOT NULL, cancelled_by TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (run_id)
);
CREATE TABLE pipelines_steps (
	run_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	step TEXT NOT NULL, 
	label TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	status TEXT NOT NULL, 
	made_by TEXT DEFAULT '' NOT NULL, 
	started_at TEXT NOT NULL, 
	seconds DOUBLE NOT NULL, 
	cpu_seconds DOUBLE NOT NULL, 
	max_rss BIGINT NOT NULL, 
	log TEXT DEFAULT '' NOT NULL, 
	error TEXT DEFAULT '' NOT NULL, attempts INTEGER DEFAULT '1' NOT NULL, output TEXT DEFAULT '' NOT NULL, part_of TEXT DEFAULT '' NOT NULL, warnings INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (run_id, position)
)
 WITHOUT ROWID

;
CREATE TABLE projects_history (
	seq INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	config TEXT NOT NULL, 
	code_digest TEXT NOT NULL, 
	applied_at TEXT NOT NULL, 
	applied_by TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE projects_projects (
	name TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	folder TEXT NOT NULL, 
	config TEXT NOT NULL, 
	contracts TEXT NOT NULL, 
	code_digest TEXT NOT NULL, 
	applied_at TEXT NOT NULL, 
	applied_by TEXT NOT NULL, seq INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE projects_things (
	project TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	wish TEXT, 
	put_at TEXT NOT NULL, 
	put_by TEXT NOT NULL, 
	left_at TEXT, 
	left_by TEXT, 
	PRIMARY KEY (project, kind, name)
);
CREATE TABLE promotion_approvals (
	gate TEXT NOT NULL, 
	given_by TEXT NOT NULL, 
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	note TEXT NOT NULL, 
	given_at TEXT NOT NULL, 
	PRIMARY KEY (gate, given_by), 
	FOREIGN KEY(gate) REFERENCES promotion_gates (id)
);
CREATE TABLE promotion_checks (
	gate TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	verdict TEXT NOT NULL, 
	value FLOAT, 
	limit_value FLOAT, 
	reason TEXT NOT NULL, 
	required INTEGER NOT NULL, 
	evidence TEXT NOT NULL, 
	PRIMARY KEY (gate, position), 
	FOREIGN KEY(gate) REFERENCES promotion_gates (id)
);
CREATE TABLE promotion_gates (
	id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	champion INTEGER, 
	verdict TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	config TEXT NOT NULL, 
	decided_at TEXT NOT NULL, 
	decided_by TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (seq)
);
CREATE TABLE promotion_requests (
	id TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	fields TEXT NOT NULL, 
	caller TEXT NOT NULL, 
	role INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	asked_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE promotion_sides (
	"key" TEXT NOT NULL, 
	model TEXT NOT NULL, 
	versions TEXT NOT NULL, 
	held_out_of INTEGER NOT NULL, 
	content TEXT NOT NULL, 
	measured_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE registry_alias_history (
	seq INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	from_version INTEGER, 
	version INTEGER, 
	reason TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	moved_at TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE registry_aliases (
	model TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	moved_at TEXT NOT NULL, 
	PRIMARY KEY (model, alias), 
	FOREIGN KEY(model) REFERENCES registry_models (name)
);
CREATE TABLE registry_card_pins (
	seq BIGINT NOT NULL, 
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	pinned_at TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE registry_cards (
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	written_at TEXT NOT NULL, 
	written_by TEXT NOT NULL, 
	PRIMARY KEY (model, version, revision)
)
 WITHOUT ROWID

;
CREATE TABLE registry_downloads (
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	who TEXT NOT NULL, 
	how TEXT NOT NULL, 
	day TEXT NOT NULL, 
	PRIMARY KEY (model, version, who, how, day)
)
 WITHOUT ROWID

;
CREATE TABLE registry_engines (
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	machine TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	rung TEXT NOT NULL, 
	content TEXT, 
	explains INTEGER NOT NULL, 
	tolerance FLOAT NOT NULL, 
	difference FLOAT NOT NULL, 
	rows INTEGER NOT NULL, 
	timings TEXT NOT NULL, 
	fallen TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	fallbacks INTEGER DEFAULT '0' NOT NULL, 
	fallback TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (model, version, machine)
)
 WITHOUT ROWID

;
CREATE TABLE registry_model_tags (
	model TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (model, "key")
)
 WITHOUT ROWID

;
CREATE TABLE registry_models (
	name TEXT NOT NULL, 
	last_version INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, description TEXT DEFAULT '' NOT NULL, updated_at TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE registry_names (
	name TEXT NOT NULL, 
	last_version INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE registry_version_tags (
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (model, version, "key")
)
 WITHOUT ROWID

;
CREATE TABLE registry_versions (
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	format TEXT NOT NULL, 
	signature TEXT NOT NULL, 
	metrics TEXT NOT NULL, 
	profile_digest TEXT, 
	evaluation_digest TEXT, 
	run_id TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	servable BOOLEAN NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	updated_at TEXT DEFAULT '' NOT NULL, 
	user_id TEXT DEFAULT '' NOT NULL, 
	source TEXT DEFAULT '' NOT NULL, 
	run_link TEXT DEFAULT '' NOT NULL, 
	model_id TEXT DEFAULT '' NOT NULL, 
	status TEXT DEFAULT 'ready' NOT NULL, 
	status_message TEXT DEFAULT '' NOT NULL, 
	stage TEXT DEFAULT 'None' NOT NULL, 
	description TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (model, version), 
	FOREIGN KEY(model) REFERENCES registry_models (name)
);
CREATE TABLE releases_approvals (
	release TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	given_by TEXT NOT NULL, 
	note TEXT NOT NULL, 
	given_at TEXT NOT NULL, 
	PRIMARY KEY (release, environment, given_by)
);
CREATE TABLE releases_environments (
	digest TEXT NOT NULL, 
	python TEXT NOT NULL, 
	lock_blob TEXT NOT NULL, 
	seconds FLOAT NOT NULL, 
	built_at TEXT NOT NULL, 
	built_by TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE releases_findings (
	content TEXT NOT NULL, 
	what TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	signature TEXT NOT NULL, 
	found_at TEXT NOT NULL, 
	PRIMARY KEY (content, what)
);
CREATE TABLE releases_gates (
	id TEXT NOT NULL, 
	release TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	verdict TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	decided_at TEXT NOT NULL, 
	decided_by TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE releases_moves (
	seq BIGINT NOT NULL, 
	project TEXT NOT NULL, 
	pipeline TEXT NOT NULL, 
	environment TEXT NOT NULL, 
	release TEXT NOT NULL, 
	from_release TEXT NOT NULL, 
	gate TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	moved_at TEXT NOT NULL, 
	moved_by TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE releases_releases (
	digest TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	project TEXT NOT NULL, 
	pipeline TEXT NOT NULL, 
	manifest TEXT NOT NULL, 
	signature TEXT NOT NULL, 
	public_key TEXT NOT NULL, 
	content TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	PRIMARY KEY (digest), 
	UNIQUE (seq)
);
CREATE TABLE retention_parcels (
	entry TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	of_table TEXT NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY (entry, position)
);
CREATE TABLE retention_policies (
	experiment TEXT NOT NULL, 
	rules TEXT NOT NULL, 
	set_at TEXT NOT NULL, 
	set_by TEXT NOT NULL, 
	PRIMARY KEY (experiment)
);
CREATE TABLE retention_settings (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE retention_tombstones (
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	of_kind TEXT NOT NULL, 
	of_name TEXT NOT NULL, 
	removed_at TEXT NOT NULL, 
	removed_by TEXT NOT NULL, 
	PRIMARY KEY (kind, name)
)
 WITHOUT ROWID

;
CREATE TABLE retention_trash (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	title TEXT NOT NULL, 
	state TEXT NOT NULL, 
	counts TEXT NOT NULL, 
	things TEXT NOT NULL, 
	folders TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	removed_at TEXT NOT NULL, 
	removed_by TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE serving_counts (
	endpoint TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	arm TEXT NOT NULL, 
	answered BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	dropped BIGINT NOT NULL, 
	counted_at TEXT NOT NULL, 
	PRIMARY KEY (endpoint, revision, arm)
);
CREATE TABLE serving_endpoints (
	name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	alias TEXT, 
	followed_version INTEGER, 
	"key" TEXT, 
	event_time TEXT, 
	live_revision INTEGER, 
	wanted_revision INTEGER, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, retired_at TEXT, options TEXT DEFAULT '' NOT NULL, traffic TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE serving_erasures (
	id TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	field TEXT NOT NULL, 
	subject_hash TEXT NOT NULL, 
	asked_at TEXT NOT NULL, 
	asked_by TEXT NOT NULL, 
	finished_at TEXT, 
	predictions INTEGER DEFAULT '0' NOT NULL, 
	truth INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE serving_live_history (
	seq INTEGER NOT NULL, 
	endpoint TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	from_at TEXT NOT NULL, 
	until_at TEXT, 
	actor TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE serving_revisions (
	endpoint TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	signature TEXT NOT NULL, 
	status TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	requested_at TEXT NOT NULL, 
	requested_by TEXT NOT NULL, 
	live_at TEXT, 
	ended_at TEXT, 
	rolled_back_at TEXT, rules TEXT, 
	PRIMARY KEY (endpoint, revision), 
	FOREIGN KEY(endpoint) REFERENCES serving_endpoints (name)
);
CREATE TABLE serving_rules (
	reference TEXT NOT NULL, 
	name TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	content_digest TEXT NOT NULL, 
	source TEXT NOT NULL, 
	declared TEXT NOT NULL, 
	put_at TEXT NOT NULL, 
	put_by TEXT NOT NULL, 
	PRIMARY KEY (reference)
);
CREATE TABLE serving_sealed (
	kind TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	file TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	sealed_at TEXT NOT NULL, ended_at TEXT, ended_as TEXT, 
	PRIMARY KEY (kind, endpoint, file)
);
CREATE TABLE serving_splits (
	seq INTEGER NOT NULL, 
	endpoint TEXT NOT NULL, 
	traffic TEXT NOT NULL, 
	from_at TEXT NOT NULL, 
	until_at TEXT, 
	actor TEXT NOT NULL, 
	why TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE serving_verdicts (
	seq INTEGER NOT NULL, 
	endpoint TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	arm TEXT NOT NULL, 
	verdict TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE tracking_artifacts (
	owner TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	media_type TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (owner, name)
)
 WITHOUT ROWID

;
CREATE TABLE tracking_batches (
	id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE tracking_blocks (
	run INTEGER NOT NULL, 
	"key" INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	points INTEGER NOT NULL, 
	packed BLOB NOT NULL, 
	PRIMARY KEY (run, "key", number)
);
CREATE TABLE tracking_datasets (
	experiment_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	source_type TEXT NOT NULL, 
	source TEXT NOT NULL, 
	schema TEXT DEFAULT '' NOT NULL, 
	profile TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (experiment_id, name, digest)
);
CREATE TABLE tracking_experiment_tags (
	experiment_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (experiment_id, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_experiments (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	state TEXT DEFAULT 'active' NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	location TEXT DEFAULT '' NOT NULL, 
	UNIQUE (name)
);
INSERT INTO "tracking_experiments" VALUES(0,'Default','active','1970-01-01T00:00:00.000000Z','loopline','1970-01-01T00:00:00.000000Z','');
CREATE TABLE tracking_keys (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE tracking_latest (
	run INTEGER NOT NULL, 
	"key" INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	value DOUBLE NOT NULL, 
	is_nan INTEGER NOT NULL, 
	PRIMARY KEY (run, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_links (
	run_id TEXT NOT NULL, 
	direction TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	tags TEXT DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (run_id, direction, name, digest)
);
CREATE TABLE tracking_model_metrics (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	value DOUBLE NOT NULL, 
	is_nan INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	dataset_name TEXT NOT NULL, 
	dataset_digest TEXT NOT NULL, 
	PRIMARY KEY (model_id, "key", at_ms, step, value, is_nan, run_id, dataset_name, dataset_digest)
)
 WITHOUT ROWID

;
CREATE TABLE tracking_model_params (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (model_id, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_model_tags (
	model_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (model_id, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_models (
	id TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT DEFAULT '' NOT NULL, 
	status TEXT NOT NULL, 
	status_message TEXT DEFAULT '' NOT NULL, 
	state TEXT DEFAULT 'active' NOT NULL, 
	deleted_at TEXT, 
	source_run_id TEXT DEFAULT '' NOT NULL, 
	location TEXT DEFAULT '' NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE tracking_params (
	run INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_points (
	run INTEGER NOT NULL, 
	"key" INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	value DOUBLE NOT NULL, 
	is_nan INTEGER NOT NULL, 
	PRIMARY KEY (run, "key", at_ms, step, value, is_nan)
)
 WITHOUT ROWID

;
CREATE TABLE tracking_runs (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	status TEXT NOT NULL, 
	state TEXT DEFAULT 'active' NOT NULL, 
	deleted_at TEXT, 
	started_at TEXT NOT NULL, 
	ended_at TEXT, 
	created_by TEXT NOT NULL, 
	user_id TEXT DEFAULT '' NOT NULL, 
	process TEXT DEFAULT '' NOT NULL, 
	surroundings TEXT DEFAULT '{}' NOT NULL, 
	error TEXT DEFAULT '' NOT NULL, 
	artifact_root TEXT DEFAULT '' NOT NULL, 
	UNIQUE (id), 
	FOREIGN KEY(experiment_id) REFERENCES tracking_experiments (id)
);
CREATE TABLE tracking_spans (
	trace_id TEXT NOT NULL, 
	span_id TEXT NOT NULL, 
	parent_id TEXT DEFAULT '' NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT DEFAULT '' NOT NULL, 
	status TEXT NOT NULL, 
	start_ns BIGINT NOT NULL, 
	end_ns BIGINT DEFAULT '0' NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY (trace_id, span_id)
);
CREATE TABLE tracking_tags (
	run INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_trace_metadata (
	trace_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (trace_id, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_trace_tags (
	trace_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (trace_id, "key")
)
 WITHOUT ROWID

;
CREATE TABLE tracking_traces (
	id TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name TEXT DEFAULT '' NOT NULL, 
	state TEXT NOT NULL, 
	started_ms BIGINT NOT NULL, 
	duration_ms BIGINT, 
	client_request_id TEXT DEFAULT '' NOT NULL, 
	request_preview TEXT DEFAULT '' NOT NULL, 
	response_preview TEXT DEFAULT '' NOT NULL, 
	told INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE tracking_views (
	name TEXT NOT NULL, 
	"query" TEXT NOT NULL, 
	saved_at TEXT NOT NULL, 
	saved_by TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE INDEX ledger_facts_subject ON ledger_facts (subject, seq);
CREATE INDEX ledger_facts_kind ON ledger_facts (kind, seq);
CREATE INDEX projects_history_by_name ON projects_history (name, seq);
CREATE INDEX datasets_batches_by_state ON datasets_batches (dataset, state);
CREATE INDEX datasets_snapshots_by_digest ON datasets_snapshots (digest);
CREATE INDEX pipelines_runs_by_plan ON pipelines_runs ("plan", started_at);
CREATE INDEX pipelines_keys_by_step ON pipelines_keys (step, seen_at);
CREATE INDEX pipelines_steps_by_key ON pipelines_steps ("key");
CREATE INDEX promotion_gates_by_version ON promotion_gates (model, version, alias, seq);
CREATE INDEX serving_live_history_by_time ON serving_live_history (endpoint, from_at);
CREATE INDEX monitoring_alerts_by_cause ON monitoring_alerts (endpoint, cause, seq);
CREATE INDEX automation_firings_by_state ON automation_firings (state, seq);
CREATE INDEX automation_firings_by_policy ON automation_firings (project, policy, seq);
CREATE INDEX pipelines_runs_by_pipeline ON pipelines_runs (pipeline, started_at);
CREATE INDEX pipelines_runs_by_basis ON pipelines_runs (basis, started_at);
CREATE INDEX releases_releases_by_pipeline ON releases_releases (project, pipeline, seq);
CREATE INDEX releases_gates_by_release ON releases_gates (release, decided_at);
CREATE INDEX releases_moves_by_place ON releases_moves (project, pipeline, environment, seq);
CREATE INDEX projects_things_by_name ON projects_things (kind, name);
CREATE INDEX tracking_runs_by_status ON tracking_runs (status);
CREATE INDEX tracking_runs_ended ON tracking_runs (ended_at);
CREATE INDEX tracking_latest_by_value ON tracking_latest (experiment_id, "key", is_nan, value, run);
CREATE INDEX tracking_links_by_digest ON tracking_links (digest);
CREATE INDEX tracking_models_by_experiment ON tracking_models (experiment_id, created_at);
CREATE INDEX tracking_models_by_run ON tracking_models (source_run_id);
CREATE INDEX tracking_model_metrics_by_run ON tracking_model_metrics (run_id);
CREATE INDEX registry_versions_by_run ON registry_versions (run_id, model, digest);
CREATE INDEX registry_alias_history_by_alias ON registry_alias_history (model, alias, seq);
CREATE INDEX tracking_runs_by_start ON tracking_runs (experiment_id, started_at, id, state, name, status, kind, ended_at, created_by, user_id);
CREATE INDEX tracking_runs_started ON tracking_runs (started_at, id, state, experiment_id);
CREATE INDEX tracking_runs_away ON tracking_runs (state, experiment_id) WHERE state <> 'active';
CREATE INDEX tracking_params_short ON tracking_params ("key", value, run) WHERE length(value) <= 200;
CREATE INDEX tracking_params_long ON tracking_params ("key", run) WHERE length(value) > 200;
CREATE INDEX tracking_tags_short ON tracking_tags ("key", value, run) WHERE length(value) <= 200;
CREATE INDEX tracking_tags_long ON tracking_tags ("key", run) WHERE length(value) > 200;
CREATE INDEX tracking_links_datasets ON tracking_links (name, digest, run_id) WHERE kind = 'dataset';
CREATE INDEX imports_things_by_target ON imports_things (kind, target);
CREATE INDEX retention_trash_by_name ON retention_trash (kind, name);
CREATE INDEX tracking_traces_by_start ON tracking_traces (experiment_id, started_ms, id);
CREATE INDEX registry_card_pins_by_version ON registry_card_pins (model, version);
CREATE INDEX promotion_sides_by_model ON promotion_sides (model, measured_at);
CREATE INDEX promotion_requests_by_state ON promotion_requests (state, asked_at);
CREATE INDEX serving_splits_by_time ON serving_splits (endpoint, from_at);
CREATE INDEX serving_verdicts_by_endpoint ON serving_verdicts (endpoint, seq);
CREATE UNIQUE INDEX serving_rules_by_name ON serving_rules (name, number);
CREATE INDEX monitoring_messages_unaddressed ON monitoring_messages (addressed, seq);
CREATE INDEX monitoring_deliveries_by_state ON monitoring_deliveries (state, channel, seq);
CREATE INDEX monitoring_deliveries_by_channel ON monitoring_deliveries (channel, ended_at);
CREATE INDEX automation_holds_by_model ON automation_holds (model, lifted_at);
CREATE INDEX monitoring_budgets_newest ON monitoring_budgets (endpoint, chosen_at);
CREATE INDEX monitoring_backtests_endpoint ON monitoring_backtests (endpoint, asked_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tracking_experiments',0);
INSERT INTO "sqlite_sequence" VALUES('tracking_runs',0);
COMMIT;
