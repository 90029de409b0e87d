"""The shipped definitions say what the source says, word for word.

`SOURCE` is the source in compact form: `# file: phase`, then one item a line; numbered where the source numbers them,
indented where one stands under another.
"""

from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML

from checklists.lines import Kind, TrackedItem, build, leaves
from checklists.lint import lint
from checklists.load import DEFINITIONS, load_templates
from checklists.schema import Item, Mode, Template

SOURCE = """
# deployment: Code Review
Review `scheduled-jobs.service.ts` for business logic
Review `scheduled-jobs.module.ts` for module configuration
Check `app.module.ts` for correct imports
Verify all imports are correct and no circular dependencies
Run linter: `npm run lint`
Check types: `npx tsc --noEmit`
# deployment: Testing
Run unit tests: `npm run test`
Run e2e tests: `npm run test:e2e`
Test manually with test transactions
Verify logs output correctly
Test error scenarios (network failures, invalid data)
# deployment: Database
Backup production database
Verify entities are registered in TypeORM
Check database migrations are up to date
Verify indexes exist or create them:
Test database connectivity
Verify user permissions for scheduled job user
# deployment: Configuration
Set `STELLAR_HORIZON_URL` environment variable
Set `STELLAR_NETWORK` environment variable
Verify `DB_*` environment variables
Check `NODE_ENV` is set to 'production' for production deployment
Verify all required environment variables are documented
Create `.env.production` file with all required variables
Never commit `.env.production` to version control
Use secure environment variable management (Vercel, AWS Secrets Manager, etc.)
# deployment: Stellar Network
Verify Stellar Horizon API is accessible
Test Stellar API connectivity: `curl https://horizon.stellar.org/`
Check Stellar API rate limits (100 requests/second)
Verify network passphrase matches (PUBLIC or TESTNET)
Test with a real transaction if possible
Monitor Stellar status page: https://status.stellar.org/
# deployment: Monitoring & Logging
Configure log aggregation (ELK, Datadog, CloudWatch, etc.)
Set up error tracking (Sentry, Rollbar, etc.)
Create dashboards for key metrics
Set up alerts for:
  Job failures
  High error rates
  Slow job execution
  Database connection issues
  Stellar API issues
Configure log retention policy
Test alert notifications work
Document on-call procedures
# deployment: Scaling & Performance
Run load tests with expected transaction volume
Monitor database query performance
Check memory usage during operation
Verify CPU usage is acceptable
Test with maximum expected concurrent transactions
Measure Stellar API response times
Plan for cron expression adjustments if needed
# deployment: Documentation
Update team documentation with module overview
Document custom environment variables
Document monitoring dashboard URLs
Document alert escalation procedures
Document rollback procedures
Create runbook for common issues
Document disaster recovery procedures
# deployment: Pre-Deployment Checks
All code is committed and pushed
All tests are passing
Code review completed and approved
No breaking changes to existing APIs
Database is backed up
Team is notified of deployment
Maintenance window scheduled (if needed)
# deployment: Deployment Steps
1. Build the application: `npm run build`
2. Verify build completes without errors
3. Run migrations if any: `npm run migration:run`
4. Deploy to staging environment
5. Run smoke tests on staging
6. Deploy to production
7. Verify application starts: `npm run start:prod`
8. Check logs for any startup errors
9. Verify scheduled jobs are running
# deployment: Post-Deployment Verification
Application is running without errors
Logs show successful job execution
Create test transaction and verify reconciliation
Check that notifications are created
Verify balance updates are working
Monitor error rates (should be minimal)
Check database disk usage
Verify Stellar API connectivity
Test failure scenarios if possible
# deployment: Monitoring (First 24 Hours)
Check application logs every hour
Monitor scheduled job execution times
Watch for any error spikes
Verify notifications are being sent
Check database growth rate
Monitor CPU and memory usage
Check disk I/O operations
Verify Stellar API connectivity remains stable
# deployment: First Week
Daily log reviews
Monitor metrics dashboards
Check user feedback/support tickets
Verify no data consistency issues
Test with real transactions
Load test results match expectations
Database performance remains acceptable
All alerts configured and functioning
# deployment: First Month
Complete documentation review
Performance baseline established
Archive initial monitoring data
Plan for scheduled maintenance
Review and adjust cron schedules if needed
Optimize database queries if needed
Conduct team training/knowledge transfer
Plan for scalability if transaction volume increases
# rollback-critical: Critical Issue (Stop Immediately)
1. Set `FEATURE_FLAGS.enableReconciliation = false` in code
2. Redeploy to disable scheduled jobs
3. Investigate root cause
4. Fix issue
5. Re-enable and redeploy
# rollback-data: Data Inconsistency
1. Stop the application
2. Restore database from backup
3. Investigate what went wrong
4. Implement fix
5. Redeploy and test thoroughly
# rollback-stellar: Stellar API Issues
1. Monitor Stellar status page
2. If temporary: job will retry automatically
3. If extended outage: consider disabling jobs temporarily
4. Investigate alternative providers/failover
# disaster-recovery: Identify the Problem
Check logs for error messages
Verify database connectivity
Check Stellar API status
Review recent code changes
# disaster-recovery: Immediate Actions
Notify team members
Disable scheduled jobs if they're causing issues
Preserve logs and error data
Prepare database backup for recovery
# disaster-recovery: Recovery Steps
Rollback to last known good version
Restore database from most recent backup
Verify system is operational
Re-enable scheduled jobs
Monitor closely for recurrence
# disaster-recovery: Post-Incident Review
Document what happened
Identify root cause
Implement fix and deploy
Update monitoring/alerts to catch similar issues
Conduct team postmortem
# maintenance-weekly: Weekly
Check disk space usage
Review error logs
Verify all jobs are executing
Check Stellar API status
# maintenance-monthly: Monthly
Database optimization (VACUUM, ANALYZE)
Review and clean old notifications (if retention policy active)
Audit transaction history
Review performance metrics
# maintenance-quarterly: Quarterly
Major version updates
Dependency security updates
Disaster recovery drill
Performance optimization review
# compliance: Compliance & Security
No sensitive data in logs
All database queries are parameterized
Environment variables are not in code
Secrets are managed securely
Audit logs are retained
Access control is properly configured
Data retention policies are documented
Compliance requirements are met (GDPR, etc.)
"""

# The headings of the source over its phases, outermost first.
HEADINGS = {
    "Pre-Deployment": "Code Review | Testing | Database | Configuration | Stellar Network | Monitoring & Logging",
    " Pre-Deployment": "Scaling & Performance | Documentation",
    "Deployment": "Pre-Deployment Checks | Deployment Steps | Post-Deployment Verification | Monitoring (First 24 Hours)",
    "Post-Deployment": "First Week | First Month",
    "Rollback Procedures / If Issues Occur": "Critical Issue (Stop Immediately) | Data Inconsistency | Stellar API Issues",
    "Disaster Recovery / Complete Failure Scenario": "Identify the Problem | Immediate Actions | Recovery Steps",
    "Disaster Recovery / Complete Failure Scenario ": "Post-Incident Review",
    "Maintenance Windows / Regular Maintenance": "Weekly | Monthly | Quarterly",
    "": "Compliance & Security",
}

INDEXES = """\
CREATE INDEX idx_transactions_status_created ON transactions(status, created_at);
CREATE INDEX idx_transactions_user_status ON transactions(user_id, status);
CREATE INDEX idx_notifications_user_status ON notifications(user_id, status);"""
ESSENTIAL_INDEXES = """\
CREATE INDEX idx_trans_status_created ON transactions(status, created_at);
CREATE INDEX idx_trans_user_status ON transactions(user_id, status);
CREATE INDEX idx_notif_user_status ON notifications(user_id, status);"""
VARIABLES = """\
STELLAR_HORIZON_URL=https://horizon.stellar.org
STELLAR_NETWORK=PUBLIC
DB_HOST=<production-db-host>
DB_PORT=5432
DB_USERNAME=<secure-username>
DB_PASSWORD=<secure-password>
DB_NAME=nexafx
NODE_ENV=production"""
WATCH = (
    "Scheduled job execution logs",
    "Error rates and error types",
    "Database query performance",
    "Stellar API response times",
    "Memory and CPU usage",
    "Disk space usage",
)


@pytest.fixture(scope="module")
def shipped() -> dict[str, Template]:
    found = load_templates()
    assert [broken for broken in found if not isinstance(broken, Template)] == []
    return {template.id: template for template in found if isinstance(template, Template)}


def lines(items: tuple[Item, ...], mode: Mode, indent: str = "") -> Iterator[str]:
    for number, item in enumerate(items, 1):
        yield f"{indent}{f'{number}. ' if mode is Mode.READ_DO else ''}{item.text}"
        yield from lines(item.items, Mode.DO_CONFIRM, indent + "  ")


def said(template: Template) -> str:
    return "\n".join(
        line
        for phase in template.phases
        for line in (f"# {template.id}: {phase.title}", *lines(phase.items, phase.mode))
    )


def test_every_item_of_the_source_is_there_word_for_word_and_in_order(shipped: dict[str, Template]) -> None:
    blocks = [f"#{block}".strip() for block in SOURCE.strip().removeprefix("#").split("\n#")]
    assert sum(len(block.splitlines()) - 1 for block in blocks) == 158
    for name, template in shipped.items():
        expected = [block for block in blocks if block.startswith(f"# {name}:")]
        if name == "deployment":  # a deployment ends with the compliance list, which also stands alone
            expected += [
                block.replace("# compliance:", "# deployment:") for block in blocks if "# compliance:" in block
            ]
        if name == "post-incident-review":  # the last part of the recovery, for every incident by itself
            review = "# disaster-recovery: Post-Incident Review"
            expected = [block.replace("disaster-recovery", name) for block in blocks if block.startswith(review)]
        assert said(template) == "\n".join(expected)


def test_every_heading_of_the_source_stands_over_its_items(shipped: dict[str, Template]) -> None:
    over = {phase: headings.strip() for headings, phases in HEADINGS.items() for phase in phases.split(" | ")}
    for template in shipped.values():
        for phase in template.phases:
            headings = list(filter(None, over.pop(phase.title, "").split(" / ")))
            assert all(one in {template.title.split(" - ")[0], phase.section} for one in headings), phase.title
    assert over == {}
    assert shipped["deployment"].title == "Scheduled Jobs Module - Deployment"


def test_there_are_ten_files_and_each_is_named_after_its_id(shipped: dict[str, Template]) -> None:
    assert sorted(shipped) == [
        "compliance",
        "deployment",
        "disaster-recovery",
        "maintenance-monthly",
        "maintenance-quarterly",
        "maintenance-weekly",
        "post-incident-review",
        "rollback-critical",
        "rollback-data",
        "rollback-stellar",
    ]
    assert sorted(path.stem for path in DEFINITIONS.iterdir()) == sorted(shipped)


def test_a_definition_knows_how_many_lines_a_run_of_it_has(shipped: dict[str, Template]) -> None:
    for template in shipped.values():
        assert template.lines == len(list(leaves(build(template, {})))), template.id


def test_lint_has_nothing_to_say_about_them() -> None:
    report = lint([DEFINITIONS])
    assert (report.files, report.errors, report.warnings) == (10, (), ())


def test_every_item_names_its_id_so_that_its_wording_may_change(shipped: dict[str, Template]) -> None:
    for name in shipped:
        tree = YAML(typ="safe").load(DEFINITIONS / f"{name}.yaml")
        assert all("id" in item for phase in tree["phases"] for item in phase["items"])


def test_the_deployment_keeps_summary_contacts_signatures_and_quick_reference(shipped: dict[str, Template]) -> None:
    deployment = shipped["deployment"]
    assert [(field.id, field.title, field.type.value, field.required) for field in deployment.fields] == [
        ("date", "Deployment Date", "date", True),
        ("version", "Deployment Version", "text", True),
        ("deployed_by", "Deployed By", "user", True),
        ("notes", "Notes", "markdown", False),
    ]
    called = ["On-Call Engineer", "Database Team", "DevOps Lead", "Product Owner"]
    assert [contact.role for contact in deployment.contacts] == called
    assert [(sign.title, sign.meaning) for sign in deployment.signoff] == [
        ("Developer", "authored"),
        ("QA Lead", "verified"),
        ("DevOps", "executed"),
        ("Project Manager", "approved"),
    ]
    texts = {one.title: one.snippet.text if one.snippet is not None else one.points for one in deployment.reference}
    assert texts == {
        "Critical Environment Variables": VARIABLES,
        "Essential Database Indexes": ESSENTIAL_INDEXES,
        "Key Monitoring Points": WATCH,
    }


def test_every_definition_says_when_it_is_reviewed_next(shipped: dict[str, Template]) -> None:
    for template in shipped.values():
        assert template.review is not None
        assert template.review.next > template.review.last


def test_the_index_statements_stand_on_the_item_that_creates_them(shipped: dict[str, Template]) -> None:
    item = find(shipped["deployment"], "database/indexes")
    assert item.definition.snippet is not None
    assert (item.definition.snippet.lang, item.definition.snippet.text) == ("sql", INDEXES)


def test_hourly_and_daily_items_have_a_line_for_each_time(shipped: dict[str, Template]) -> None:
    ids = [leaf.id for leaf in leaves(build(shipped["deployment"], {}))]
    assert len([one for one in ids if one.startswith("first-24-hours/logs/")]) == 24
    assert len([one for one in ids if one.startswith("first-week/logs/")]) == 7
    assert (
        len(ids) == len(set(ids)) == 106 - 1 - 2 + 24 + 7 + 8
    )  # no line for the alerts' heading; eight for compliance


def test_the_alerts_stand_under_their_heading(shipped: dict[str, Template]) -> None:
    group = find(shipped["deployment"], "monitoring/alerts")
    assert (group.kind, len(group.children)) == (Kind.GROUP, 5)


def test_the_steps_wait_for_everything_before_them(shipped: dict[str, Template]) -> None:
    phases = {phase.definition.id: phase for phase in build(shipped["deployment"], {})}
    assert len(phases["deployment-steps"].waits_for) == 9
    assert phases["verification"].waits_for == ("Deployment Steps",)


def test_what_may_not_happen_is_not_required(shipped: dict[str, Template]) -> None:
    deployment = shipped["deployment"]
    optional = {
        f"{phase.id}/{item.id}" for phase in deployment.phases for item in phase.items if item.need == "optional"
    }
    assert optional == {
        "stellar-network/real-transaction",
        "scaling/cron-adjustments",
        "verification/failure-scenarios",
        "first-month/cron-schedules",
        "first-month/queries",
        "first-month/scalability",
    }
    stellar = shipped["rollback-stellar"].phases[0].items
    assert [item.text for item in stellar if item.note is not None] == ["If temporary: job will retry automatically"]


def find(template: Template, item_id: str) -> TrackedItem:
    return next(item for phase in build(template, {}) for item in phase.items if item.id == item_id)
