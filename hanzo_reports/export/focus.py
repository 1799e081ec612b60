"""Charges as FOCUS 1.2, Cost and Usage: one row per UTC day and group of usage.

Source: FOCUS 1.2, https://focus.finops.org/focus-specification/v1-2/
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.events import TIMESTAMP
from hanzo_reports.metrics.buckets import bucket_key
from hanzo_reports.store.duckdb_session import materialize
from hanzo_reports.units import Grain

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from hanzo_reports.window import Window

DAY = 86_400
MILLION = 1_000_000
FORMAT = "focus"
GROUP = ("provider", "model", "service", "operation", "project", "team", "environment", "region")
_TAGS = ("team", "environment", "operation", "service")
_MONEY = "decimal(38, 9)"


def charges(events: ir.Table, window: Window) -> ir.Table:
    """Usage and its cost in the columns of FOCUS.

    Args:
        events: the events of a window that have a cost; FOCUS has no charge of an unknown amount. With a column
            `cost_difference`, ListCost is the list price where that is known.
        window: in UTC, as the periods of charges are; the charge of a day that it contains only in part covers that
            part.

    Returns:
        One row per UTC day, provider, model, service, operation, project, team, environment and region, in order of
        time: the columns of FOCUS 1.2, and `x_Model`, `x_Requests`, `x_InputTokens`, `x_OutputTokens`.
    """
    day = bucket_key(events.timestamp, window, Grain.DAY)
    tokens = events.input_tokens.fill_null(0) + events.output_tokens.fill_null(0)
    has_list_cost = "cost_difference" in events.columns
    list_cost = events.cost - events.cost_difference.fill_null(0) if has_list_cost else events.cost
    sums = events.mutate(_day=day, _tokens=tokens, _list_cost=list_cost).aggregate(
        by=["_day", *GROUP],
        _cost=ibis._.cost.sum().cast(_MONEY), _list_cost=ibis._["_list_cost"].sum().cast(_MONEY),
        _tokens=ibis._["_tokens"].sum(), _requests=ibis._.count(),
        _input=ibis._.input_tokens.sum(), _output=ibis._.output_tokens.sum(),
    )  # fmt: skip
    return _focus_columns(materialize(sums).order_by("_day", *GROUP), window)  # the same expressions on every engine


def _focus_columns(rows: ir.Table, window: Window) -> ir.Table:
    midnight = (rows["_day"] * DAY).as_timestamp("s").cast(TIMESTAMP)
    month = midnight.truncate("M")
    first, last = (ibis.literal(side, TIMESTAMP) for side in (window.start, window.end))
    has_model = rows.model.notnull()
    has_tokens = rows["_tokens"] > 0
    provider = rows.provider.fill_null(rows.service)
    name = ibis.ifelse(has_model, rows.model, rows.service)
    count = ibis.ifelse(has_tokens, rows["_tokens"], rows["_requests"]).cast("decimal(38, 6)")
    quantity = ibis.ifelse(has_tokens, count / ibis.literal(Decimal(MILLION)), count).cast("decimal(38, 6)")
    unit = ibis.ifelse(has_tokens, f"{MILLION} Tokens", "Requests")
    no_text, no_number = ibis.null("string"), ibis.null("float64")
    return rows.select(
        BilledCost=rows["_cost"], BillingAccountId=provider, BillingAccountName=provider,
        BillingAccountType=ibis.literal("Provider"), BillingCurrency=ibis.literal("USD"),
        BillingPeriodEnd=(month + ibis.interval(months=1)), BillingPeriodStart=month,
        ChargeCategory=ibis.literal("Usage"), ChargeClass=no_text,
        ChargeDescription=name + " in the project " + rows.project, ChargeFrequency=ibis.literal("Usage-Based"),
        ChargePeriodEnd=ibis.least(midnight + ibis.interval(days=1), last),
        ChargePeriodStart=ibis.greatest(midnight, first),
        ConsumedQuantity=quantity, ConsumedUnit=unit,
        ContractedCost=rows["_cost"], ContractedUnitPrice=no_number, EffectiveCost=rows["_cost"],
        InvoiceId=no_text,
        InvoiceIssuerName=provider, ListCost=rows["_list_cost"], ListUnitPrice=no_number,
        PricingCategory=ibis.literal("Standard"),
        PricingQuantity=quantity, PricingUnit=unit,
        ProviderName=provider, PublisherName=provider,
        RegionId=rows.region, RegionName=rows.region,
        ResourceId=no_text, ResourceName=no_text, ResourceType=no_text,
        ServiceCategory=ibis.ifelse(has_model, "AI and Machine Learning", "Other"),
        ServiceName=ibis.ifelse(has_model, provider, rows.service),
        ServiceSubcategory=ibis.ifelse(has_model, "Generative AI", "Other (Other)"),
        SkuId=no_text, SkuMeter=no_text, SkuPriceDetails=no_text, SkuPriceId=no_text,
        SubAccountId=rows.project, SubAccountName=rows.project, SubAccountType=ibis.literal("Project"),
        Tags=_tags(rows), x_Model=rows.model, x_Requests=rows["_requests"], x_InputTokens=rows["_input"],
        x_OutputTokens=rows["_output"],
    )  # fmt: skip


def _tags(rows: ir.Table) -> ir.StringValue:
    """The dimensions without a column of their own as a JSON object, without those that are NULL."""
    parts = [
        ibis.ifelse(rows[name].notnull(), ibis.literal(f'"{name}": ') + _to_json(rows[name]) + ", ", "")
        for name in _TAGS
    ]
    text = parts[0] + parts[1] + parts[2] + parts[3]
    return "{" + text.substr(0, ibis.greatest(text.length() - 2, 0)) + "}"


@ibis.udf.scalar.builtin(name="to_json")  # type: ignore[untyped-decorator]  # Ibis ships no types
def _to_json(text: str) -> str:  # type: ignore[empty-body]  # DuckDB has it
    """A text as JSON, with its quotes."""
