"""Redshift's functions, as data: which a statement may call and what stands behind the name.

Redshift's function list is its own: it lacks many of PostgreSQL's, and a statement that calls one
of those must fail here as it will fail there. So a call passes only when its name is in one of
these sets; `calls.py` finds the calls and refuses the others by name.

* SAME: in PostgreSQL under this name, with this result.
* OURS: Redshift's, defined in `sql/functions.sql` in the schema pg_standin; the name is replaced,
  so that with its rule switched off the backend says that it knows no such function.
* SHAPED: Redshift's, put into other words by `rewrite.py`.
* LEADER: the leader node only: an error once the query reads a table of a user's.
* COMPUTE: the compute nodes only: an error unless it reads one.
* MISSING: Redshift's, but not emulated; each is refused by name.
"""

from __future__ import annotations

from .tokens import word_set

SAME = word_set(
    """
    abs acos any_value ascii asin atan atan2 bit_and bit_or bool bool_and bool_or bpchar btrim
    cast cbrt ceil ceiling char_length character_length chr coalesce cos cot count cume_dist
    current_database current_setting date date_cmp date_part degrees dense_rank dexp dlog1
    dlog10 exp extract first_value float4 float8 floor get_bit getbit getdate greatest grouping
    int2 int4 int8 interval json_parse json_serialize lag last_value lead least left length ln
    log lpad ltrim max md5 min mod nth_value ntile nullif numeric octet_length percent_rank
    pg_backend_pid pg_cancel_backend pg_last_copy_count pg_last_copy_id pg_terminate_backend pi
    position pow power quote_ident quote_literal radians random rank repeat replace reverse
    right round row_number rpad rtrim set_config sign sin split_part sqrt stddev stddev_pop
    stddev_samp strpos substr substring sum sysdate tan text time timeofday timestamp
    timestamp_cmp timestamptz timezone to_char to_date to_hex to_number to_timestamp translate
    trim user var_pop var_samp varchar variance version
    """
)

OURS: dict[str, str] = {
    name: rule
    for rule, names in {
        "F4": "add_months dateadd",
        "F5": "datediff",
        "F6": "date_part_year date_trunc last_day months_between next_day trunc",
        "F7": "charindex initcap len lower octetindex replicate textlen upper",
        "F9": "crc32 fnv_hash from_hex sha2 strtol",
        "F10": "can_json_parse is_valid_json is_valid_json_array json_array_length"
        " json_extract_array_element_text json_extract_path_text",
        "F14": "convert_timezone",
        "F16": "avg",
    }.items()
    for name in names.split()
}
"""The rule by which each function of `sql/functions.sql` stands in for the name."""

SHAPED = frozenset({"concat", "convert", "decode", "listagg", "nvl", "nvl2"})

LEADER = word_set(
    """
    age current_schema current_schemas current_time current_timestamp get_byte
    has_database_privilege has_schema_privilege has_table_privilege isfinite localtime
    localtimestamp now set_bit set_byte to_ascii
    array_append array_cat array_dims array_lower array_prepend array_to_string array_upper
    col_description format_type generate_series has_function_privilege has_language_privilege
    obj_description pg_encoding_to_char pg_function_is_visible pg_get_constraintdef pg_get_expr
    pg_get_indexdef pg_get_ruledef pg_get_serial_sequence pg_get_triggerdef pg_get_userbyid
    pg_get_viewdef pg_opclass_is_visible pg_operator_is_visible pg_stat_get_backend_pid
    pg_table_is_visible pg_type_is_visible statement_timestamp string_to_array _pg_expandarray
    _pg_char_max_length _pg_char_octet_length _pg_numeric_precision _pg_numeric_scale
    _pg_datetime_precision _pg_truetypid _pg_truetypmod nameeq
    format_encoding pg_get_late_binding_view_cols
    """
)

COMPUTE = frozenset({"listagg"})

_SKETCHES = """
    hll hll_cardinality hll_combine hll_combine_sketches hll_create_sketch
"""
_SPATIAL = """
    addbbox dropbbox geometrytype supportsbbox h3_fromlonglat h3_frompoint h3_polyfill
"""
MISSING = word_set(
    f"""
    approximate array array_concat array_contains array_distinct array_except
    array_flatten array_intersection array_position array_positions array_sort array_union
    bpcharcmp bttext_pattern_cmp change_query_priority change_session_priority
    change_user_priority checksum collate current_aws_account current_namespace current_session_arn
    current_user_id date_cmp_timestamp date_cmp_timestamptz decimal_precision decimal_scale
    default_iam_role difference explain_model farmfingerprint64 from_varbyte func_sha1
    get_array_length get_number_attributes_external_schema get_var interval_cmp is_array is_bigint
    is_boolean is_char is_decimal is_float is_integer is_object is_scalar is_smallint is_varchar
    jaro_winkler json_serialize_to_varbyte json_size json_typeof last_user_load_query_id
    last_user_query_id last_user_unload_query_id lower_attribute_names median
    murmur3_32_hash object object_transform percentile_cont percentile_disc
    pg_get_cols pg_get_grantee_by_iam_role pg_get_iam_role_by_user pg_get_late_binding_view_cols
    pg_get_session_roles pg_last_query_id pg_last_unload_count pg_last_unload_id
    ratio_to_report reboot_cluster regexp_count regexp_instr regexp_replace regexp_substr
    role_is_member_of sha sha1 size slice_num soundex split_to_array subarray super_size
    timestamp_cmp_date timestamp_cmp_timestamptz timestamptz_cmp timestamptz_cmp_date
    timestamptz_cmp_timestamp to_varbyte try_cast upper_attribute_names user_is_member_of
    {_SKETCHES} {_SPATIAL}
    """
)


def is_missing(name: str) -> bool:
    """Whether Redshift has this function and the stand-in does not."""
    return name in MISSING or name.startswith("st_")
