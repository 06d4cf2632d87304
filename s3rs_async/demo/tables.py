"""The demo's source: a settlement database as a delivery company might have it.

One wide table of 53 columns with every kind of value that has broken a pipeline before (multi-byte
text, NULLs, decimals, unsigned, zero dates, JSON, spans of more than a day, bits, bytes), and small
ones that differ in how they can be read: a composite key, no timestamp, no key at all. Rows are
made by the server from a sequence and its hash: the same number gives the same row everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

DATABASE = "settlement"
WIDE = "normal_delivery_detail"


@dataclass(frozen=True, slots=True)
class DemoTable:
    """One table: its DDL, and the expressions over `n` (1, 2, …) that make a row.

    `key` is empty where the table has none; `keeps_deleted` says that its strategy does not see
    rows that were deleted at the source.
    """

    name: str
    columns: tuple[tuple[str, str, str], ...]
    key: tuple[str, ...]
    share: float
    keeps_deleted: bool
    index: str = ""

    @property
    def ddl(self) -> str:
        """CREATE TABLE."""
        lines = [f"`{name}` {kind}" for name, kind, _ in self.columns]
        if self.key:
            lines.append(f"PRIMARY KEY ({', '.join(self.key)})")
        if self.index:
            lines.append(f"KEY ({self.index})")
        body = ",\n  ".join(lines)
        return f"CREATE TABLE {DATABASE}.{self.name} (\n  {body}\n) CHARSET=utf8mb4"

    def fill(self, first: int, last: int, *, old: bool = False) -> str:
        """INSERT of the rows of sequence numbers first to last, `old` ones stamped days ago."""
        values = {name: made for name, _, made in self.columns if made}
        if old and self.index:
            values[self.index] = "NOW(6) - INTERVAL 60 + n % 864000 SECOND"
        names = ", ".join(f"`{name}`" for name in values)
        made = ", ".join(values.values())
        return (
            f"INSERT INTO {DATABASE}.{self.name} ({names}) SELECT {made}"
            f" FROM (SELECT seq AS n, {_HASH} AS h FROM {DATABASE}.seq_{first}_to_{last}) AS made"
        )

    def rows(self, wanted: int) -> int:
        """How many rows the table has in a demo of `wanted` rows."""
        return max(3, round(wanted * self.share))


_HASH = "CRC32(seq * 2654435761 % 4294967296)"
_STAMP = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"


def _money(divisor: str, every: int) -> str:
    return f"IF(n % {every} = 0, NULL, (h % 900000000 - 100000000) / {divisor})"


_WIDE_COLUMNS = (
    ("id", "BIGINT UNSIGNED NOT NULL", "n"),
    ("tracking_no", "VARCHAR(32) NOT NULL", "CONCAT('TRK', LPAD(n, 12, '0'))"),
    ("waybill_code", "CHAR(12)", "UPPER(LEFT(MD5(n), 12))"),
    ("order_id", "BIGINT NOT NULL", "9000000000 + n * 7"),
    ("parcel_seq", "SMALLINT UNSIGNED NOT NULL", "n % 65536"),
    ("attempts", "TINYINT NOT NULL", "n % 5"),
    ("is_signed", "TINYINT(1) NOT NULL", "h % 2"),
    ("is_return", "TINYINT(1)", "IF(n % 11 = 0, NULL, n % 17 = 0)"),
    ("priority", "TINYINT UNSIGNED", "h % 256"),
    ("zone_code", "MEDIUMINT", "CAST(h % 16000000 AS SIGNED) - 8000000"),
    ("hub_id", "MEDIUMINT UNSIGNED", "h % 16777216"),
    ("route_no", "INT", "CAST(h AS SIGNED) - 2147483648"),
    ("scan_count", "INT UNSIGNED", "h"),
    ("ledger_ref", "BIGINT", "IF(n % 13 = 0, NULL, -9223372036854775808 + CAST(n AS SIGNED))"),
    ("device_serial", "BIGINT UNSIGNED", "18446744073709551615 ^ n"),
    ("amount_due", "DECIMAL(15,4)", _money("10000", 9)),
    ("amount_paid", "DECIMAL(15,4) NOT NULL", "(h % 1000000000) / 10000"),
    ("tax", "DECIMAL(10,2)", _money("10000", 8)),
    ("discount", "DECIMAL(5,2)", "(h % 99999) / 100"),
    ("fee", "DECIMAL(18,6)", "(h % 4000000000) / 1000000"),
    ("exchange_rate", "DECIMAL(20,10)", "(h % 4000000000) / 1234567"),
    ("settled_units", "DECIMAL(38,0)", "CAST(POW(10, n % 30) AS DECIMAL(38,0)) + n"),
    ("weight_kg", "FLOAT", "(h % 100000) / 997"),
    ("volume_l", "DOUBLE", "(h - 2000000000) / 7777.77"),
    ("latitude", "DOUBLE", "(h % 180000000) / 1000000 - 90"),
    ("longitude", "DOUBLE", "(h % 360000000) / 1000000 - 180"),
    ("booked_on", "DATE NOT NULL", "'2019-01-01' + INTERVAL (h % 2500) DAY"),
    (
        "due_on",
        "DATE",
        (
            "CASE n % 50 WHEN 0 THEN '0000-00-00' WHEN 1 THEN NULL WHEN 2 THEN '2024-02-00'"
            " ELSE '2020-02-29' + INTERVAL (h % 1000) DAY END"
        ),
    ),
    (
        "booked_at",
        "DATETIME NOT NULL",
        "'2019-01-01 00:00:00' + INTERVAL (h % 200000000) SECOND",
    ),
    (
        "picked_up_at",
        "DATETIME(3)",
        "'2019-01-01 00:00:00.125' + INTERVAL (h % 200000000) SECOND",
    ),
    (
        "delivered_at",
        "DATETIME(6)",
        (
            "CASE n % 40 WHEN 0 THEN '0000-00-00 00:00:00' WHEN 1 THEN NULL"
            " ELSE '2019-01-01' + INTERVAL (h * 41 % 200000000000000) MICROSECOND END"
        ),
    ),
    (
        "invoiced_at",
        "TIMESTAMP NULL",
        "IF(n % 7 = 0, NULL, FROM_UNIXTIME(1500000000 + h % 200000000))",
    ),
    (
        "paid_at",
        "TIMESTAMP(3) NULL",
        "IF(n % 6 = 0, NULL, FROM_UNIXTIME(1500000000.75 + h % 200000000))",
    ),
    ("service_time", "TIME", "SEC_TO_TIME(CAST(h % 6000000 AS SIGNED) - 3000000)"),
    (
        "transit_time",
        "TIME(3)",
        "IF(n % 10 = 0, NULL, ADDTIME('100:15:30.250', SEC_TO_TIME(n % 86400)))",
    ),
    ("model_year", "YEAR", "1901 + n % 254"),
    ("status", "ENUM('new','on way','delivered','zurück','失敗') NOT NULL", "1 + h % 5"),
    ("handling", "SET('fragile','cold','heavy','signature')", "h % 16"),
    (
        "sender_name",
        "VARCHAR(80) NOT NULL",
        "ELT(1 + h % 4, 'Zoë Müller', '田中 太郎', 'O''Brien & Søn', 'Ágnes')",
    ),
    ("sender_email", "VARCHAR(120)", "CONCAT('user', h % 100000, '@example.com')"),
    ("receiver_name", "VARCHAR(80)", "IF(n % 19 = 0, NULL, CONCAT('客户 ', n))"),
    ("receiver_phone", "VARCHAR(24)", "CONCAT('+49 ', h)"),
    ("street", "VARCHAR(160)", "CONCAT(h % 9999, ' Rue de l''Église\\\\Nord')"),
    ("city", "VARCHAR(60)", "ELT(1 + h % 5, 'Köln', 'São Paulo', '東京', 'Kraków', 'Reykjavík')"),
    ("postcode", "VARCHAR(12)", "LPAD(h % 99999, 5, '0')"),
    ("country", "CHAR(2) NOT NULL", "ELT(1 + h % 6, 'DE', 'BR', 'JP', 'PL', 'IS', 'US')"),
    (
        "remark",
        "TEXT",
        (
            "CASE n % 6 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN CONCAT('line 1\\nline 2\\t', n)"
            " ELSE REPEAT('好的 ok 🙂 ', n % 12) END"
        ),
    ),
    ("attributes", "JSON", "JSON_OBJECT('n', n, 'tags', JSON_ARRAY('a', 'ß'), 'ok', h % 2 = 1)"),
    ("fingerprint", "BINARY(16) NOT NULL", "UNHEX(MD5(n))"),
    ("signature", "VARBINARY(40)", "IF(n % 5 = 0, NULL, UNHEX(LEFT(SHA1(n), 2 * (n % 20))))"),
    ("flags", "BIT(10)", "h % 1024"),
    ("created_at", "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)", ""),
    ("updated_at", _STAMP, ""),
)

TABLES = (
    DemoTable(WIDE, _WIDE_COLUMNS, ("id",), 1.0, keeps_deleted=True, index="updated_at"),
    DemoTable(
        "delivery_event",
        (
            ("delivery_id", "BIGINT UNSIGNED NOT NULL", "1 + n DIV 4"),
            ("event_no", "SMALLINT NOT NULL", "n % 4"),
            (
                "event",
                "VARCHAR(40) NOT NULL",
                "ELT(1 + n % 4, 'picked', 'sorted', 'on the way', '配達済み')",
            ),
            ("note", "TINYTEXT", "IF(n % 3 = 0, NULL, MD5(n))"),
            ("seen_at", "DATETIME(6) NOT NULL", "'2024-03-31 02:30:00' + INTERVAL n MICROSECOND"),
            ("changed_at", _STAMP.replace("(6)", "(3)"), ""),
        ),
        ("delivery_id", "event_no"),
        0.2,
        keeps_deleted=True,
        index="changed_at",
    ),
    DemoTable(
        "fee_rule",
        (
            (
                "code",
                "VARCHAR(20) COLLATE utf8mb4_bin NOT NULL",
                "CONCAT(CHAR(65 + n % 26), '-', n)",
            ),
            ("percent", "DECIMAL(7,4) NOT NULL", "(n % 99999) / 1000"),
            ("valid_from", "DATE NOT NULL", "'2020-01-01' + INTERVAL (n % 2000) DAY"),
        ),
        ("code",),
        0.002,
        keeps_deleted=False,
    ),
    DemoTable(
        "import_log",
        (
            ("line", "VARCHAR(200)", "IF(n % 4 = 0, NULL, CONCAT('imported ', n % 50, ' ok'))"),
            ("size_kb", "FLOAT", "n / 3"),
        ),
        (),
        0.005,
        keeps_deleted=False,
    ),
)
