import pytest

from hanzo_reports import store
from hanzo_reports.errors import StoreError
from hanzo_reports.store.address import redact_password

SECRET = "hunter2"  # noqa: S105  # of nobody


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("./warehouse", "./warehouse"),
        ("file:///data/lake", "file:///data/lake"),
        ("postgresql:///usage", "postgresql:///usage"),
        (f"postgresql://ann:{SECRET}@db/usage", "postgresql://ann@db/usage"),
        (f"postgresql://:{SECRET}@db/usage", "postgresql://@db/usage"),
        ("postgresql://ann:a%40b%2F@db:5433/usage", "postgresql://ann@db:5433/usage"),
        (f"postgresql://ann:{SECRET}@one:1,two:2/usage", "postgresql://ann@one:1,two:2/usage"),
        (f"postgresql://ann:{SECRET}@[::1]:5433/usage", "postgresql://ann@[::1]:5433/usage"),
        (f"postgresql://db/usage?password={SECRET}&sslmode=require", "postgresql://db/usage?sslmode=require"),
        (f"postgresql:///usage?host=/run/pg&PASSWORD={SECRET}", "postgresql:///usage?host=/run/pg"),
        (f"clickhouse://ann:{SECRET}@db/usage", "clickhouse://ann@db/usage"),
        (f"postgresql://db/usage?p%61ssword={SECRET}", "postgresql://db/usage"),
        (
            f"postgresql://db/usage?oauth_client_secret={SECRET}&sslmode=require",
            "postgresql://db/usage?sslmode=require",
        ),
    ],
)
def test_an_address_is_shown_without_its_password(address, shown):
    assert redact_password(address) == shown


@pytest.mark.parametrize("odd", "@/?#")
def test_a_password_that_cannot_be_told_apart_is_an_error_that_does_not_repeat_it(odd):
    with pytest.raises(StoreError, match="as %40") as caught:
        redact_password(f"postgresql://ann:{SECRET}{odd}{SECRET}@db/usage")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [f"ann:{SECRET}\u2100x@db/usage", f"ann:[{SECRET}]@db/usage", f"ann:[{SECRET}@db/usage", "[::1/usage",
     f"ann:{SECRET}@db:99999/usage"],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["postgresql", "clickhouse"])
def test_what_no_address_can_be_is_an_error_of_ours_without_the_password(scheme, address):
    with pytest.raises(StoreError, match="cannot be parsed") as caught:
        redact_password(f"{scheme}://{address}")
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_password_of_digits_before_an_odd_character():
    for odd in "/?#":
        with pytest.raises(StoreError, match="cannot be parsed"):
            redact_password(f"postgresql://ann:1234{odd}5678@db/usage")


@pytest.mark.parametrize("almost", [f"postgresql:/ann:{SECRET}@db/usage", f"host=db dbname=usage password={SECRET}"])
def test_what_is_almost_an_address_is_no_folder(almost):
    for read in (redact_password, store.open):
        with pytest.raises(StoreError, match="write it as postgresql://USER@HOST:PORT/NAME") as caught:
            read(almost)
        assert SECRET not in str(caught.value)
