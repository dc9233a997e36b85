"""Which test tries which security case: a letter for the kind, a number for the case. A test that is renamed is renamed here too.

A: code that runs. B: who may see or do what. C: logins, browsers, OAuth. D: files, paths, archives. F: secrets. G: what is too much.
"""

import re
from pathlib import Path

import pytest

CASES: dict[str, tuple[str, ...]] = {
    "B1 another's flow by id, name, model or tool": (
        "test_a_foreign_run_leaves_no_trace_under_any_name_of_the_flow",
        "test_another_owners_project_answers_exactly_as_a_missing_one",
        "test_a_request_that_no_flow_can_serve_is_an_error_with_a_code",
    ),
    "B2 another's flow read, changed, deleted, in batches too": (
        "test_what_a_owns_answers_b_as_what_is_missing_on_every_route_with_an_id",
        "test_lists_of_ids_pass_over_what_is_not_the_callers",
    ),
    "B3 what is watched of another's flow": (
        "test_what_is_watched_of_a_flow_is_its_owners",
        "test_deleting_passes_over_what_is_not_the_callers",
    ),
    "B4 another's API key": ("test_only_the_owner_revokes_a_key",),
    "B5 another's pictures": ("test_anothers_files_answer_as_missing_ones_and_nobody_gets_past_the_door",),
    "B6 another's files by a guessed name": (
        "test_a_flow_of_mine_opens_no_file_of_anothers_flow",
        "test_a_foreign_file_is_answered_like_a_missing_one",
    ),
    "B7 history by the name of a session": (
        "test_people_who_name_their_sessions_alike_share_no_history_not_even_on_a_shared_flow",
        "test_history_is_of_one_owner_flow_session_and_context",
        "test_a_guests_session_never_meets_the_owners_or_another_guests",
    ),
    "B8 another's MCP session or task": (
        "test_a_session_is_unknown_to_another_credential_and_to_another_project",
        "test_an_sse_stream_takes_messages_only_from_the_credential_that_opened_it",
        "test_tasks_are_for_their_owner_their_project_and_clients_that_know_them",
        "test_runs_are_told_answered_and_stopped_for_the_same_principal_only",
    ),
    "B9 answers to the wrong client": ("test_each_of_fifty_clients_with_equal_ids_gets_its_own_answers",),
    "B10 self promotion": (
        "test_nobody_gives_themselves_more_than_they_have",
        "test_nobody_promotes_deactivates_or_deletes_themselves",
        "test_the_first_user_does_not_take_over_an_ordinary_account",
    ),
    "B11 another's file in a run": ("test_a_run_takes_no_file_but_its_owners_uploads",),
    "B12 names matched as patterns": ("test_owners_and_sessions_are_matched_whole_and_never_as_patterns",),
    "B13 side doors without the check": (
        "test_a_route_needs_a_caller_unless_it_is_on_the_public_list",
        "test_every_guarded_route_wants_a_good_credential_before_it_reads_the_body",
        "test_every_documented_address_answers_who_has_a_key_and_refuses_who_has_none",
        "test_the_list_holds_every_route_of_the_process_and_no_other",
    ),
    "B14 credentials that begin alike, and trusted proxies": (
        "test_a_credential_that_begins_like_a_good_one_is_bad",
        "test_what_a_caller_says_of_proxies_changes_nothing",
        "test_smuggled_headers_open_no_door",
    ),
    "B15 a public flow with private power": (
        "test_nothing_private_of_the_owner_is_within_a_visitors_reach",
        "test_flows_with_code_secrets_or_other_flows_are_kept_from_guests_and_the_owner_is_told",
    ),
    "C1 pages of other origins": (
        "test_another_sites_page_reads_and_changes_nothing_with_our_cookie",
        "test_a_page_of_another_site_cannot_use_the_cookies",
        "test_every_origin_at_once_is_refused",
    ),
    "C2 open by default": (
        "test_without_settings_nothing_is_open",
        "test_automatic_login_and_anonymous_access_refuse_a_host_that_others_reach",
        "test_a_host_that_others_reach_starts_with_keys_required_and_a_warning",
    ),
    "C3 a secure setting that is not read": (
        "test_an_unknown_name_of_ours_stops_the_start_and_names_the_nearest",
        "test_a_security_setting_that_cannot_be_read_stops_the_start",
        "test_the_health_of_the_server_says_whether_it_asks_for_credentials",
    ),
    "C4 log-out that leaves the session": (
        "test_a_logout_ends_the_tokens",
        "test_logging_out_ends_every_token_of_the_session_in_every_process",
    ),
    "C5 a new password without the old one": ("test_the_own_password_is_changed_with_the_current_one", "test_a_key_sets_no_password"),
    "C8 a server's address as a command": (
        "test_the_bridge_goes_to_no_address_that_a_servers_refusal_names",
        "test_nothing_of_ours_opens_a_browser",
        "test_only_named_modules_start_processes_and_each_still_does",
        "test_an_issuer_that_lies_moves_or_is_not_allowed_is_not_believed",
    ),
    "C10 guessed keys": (
        "test_twenty_bad_keys_from_an_address_are_enough_on_both_faces",
        "test_a_key_is_shown_once_and_kept_as_a_hash",
        "test_the_sixth_login_in_a_minute_is_429",
    ),
    "C11 keys in addresses": ("test_an_access_log_never_holds_a_key_from_the_query", "test_keys_and_tokens_are_taken_out"),
    "D1 names of files that lead elsewhere": (
        "test_a_hostile_file_name_is_refused_or_made_clean_and_never_a_path",
        "test_a_hostile_name_changes_nothing_but_the_shown_name",
    ),
    "D2 a path in a flow's body": ("test_a_path_in_a_flows_body_writes_nothing",),
    "D3 a path in a picture's address": ("test_hostile_names_in_every_address_are_4xx_and_show_nothing",),
    "D6 links, wherever bytes are kept": ("test_a_link_in_the_folder_is_not_followed", "test_only_generated_keys_name_a_blob"),
    "D7 archives that write elsewhere": (
        "test_a_name_that_leads_out_of_the_archive_refuses_all_of_it",
        "test_two_files_of_one_name_refuse_all_of_it",
        "test_a_link_refuses_all_of_it",
    ),
    "D8 archives that grow": (
        "test_an_archive_that_unpacks_to_too_much_is_refused",
        "test_too_many_entries_are_refused_before_any_is_read",
        "test_a_file_that_grows_too_much_is_refused_before_it_is_read",
    ),
    "D9 uploads that fill the disk": (
        "test_without_a_credential_not_a_byte_of_the_body_is_read",
        "test_one_user_keeps_at_most_what_the_setting_says_also_with_uploads_at_once",
    ),
    "D10 forms that pin the processor": (
        "test_an_odd_boundary_costs_less_than_a_tenth_of_a_second",
        "test_a_form_that_is_made_to_cost_is_refused_and_keeps_nothing",
    ),
    "D11 JSON that says it is an upload": (
        "test_a_body_that_is_no_upload_is_415_whatever_paths_it_names",
        "test_what_is_no_form_is_415_whatever_it_says_of_a_file",
    ),
    "D12 odd ids in addresses": ("test_odd_ids_in_paths_are_refused_and_reach_nothing",),
    "D13 downloads that a page runs": ("test_a_download_is_an_attachment_that_no_page_can_run",),
    "F1 keys in exports, lists and schemas": ("test_no_secret_leaves_in_any_file", "test_a_credential_is_nowhere_but_in_its_field"),
    "F2 keys in answers, traces and logs": ("test_a_credential_is_nowhere_but_in_its_field", "test_a_stack_trace_is_redacted_too"),
    "F3 values of variables": ("test_a_credential_is_never_shown_and_a_generic_value_is",),
    "F4 the file of the secret key": (
        "test_the_secret_key_is_for_its_owner_only",
        "test_a_key_file_that_others_may_read_is_closed_to_them",
        "test_everything_kept_is_readable_under_the_new_key_and_nothing_under_the_old",
    ),
    "F6 errors that tell the inside": ("test_an_unexpected_error_tells_its_id_and_nothing_else",),
    "G7 a flow that is too much": (
        "test_ten_thousand_nodes_are_refused",
        "test_node_ids_that_are_there_twice_are_refused_by_name",
        "test_a_name_of_a_megabyte_is_refused_without_being_repeated",
        "test_the_largest_json_body_is_a_setting",
    ),
    "G8 text as SQL": ("test_text_in_filters_names_and_sessions_is_text_for_the_database",),
    "G9 text as log lines": ("test_names_that_break_lines_or_paint_terminals_stay_one_line_in_the_log",),
}
EXPECTED = [
    *(f"B{number}" for number in range(1, 16)),
    *(f"C{number}" for number in (1, 2, 3, 4, 5, 8, 10, 11)),
    *(f"D{number}" for number in (1, 2, 3, *range(6, 14))),
    *(f"F{number}" for number in (1, 2, 3, 4, 6)),
    *(f"G{number}" for number in (7, 8, 9)),
]
TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def written() -> set[str]:
    """The names of all tests."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        found.update(re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE))
    return found


def test_every_case_is_tried_by_tests_that_are_there(written: set[str]) -> None:
    assert [case.partition(" ")[0] for case in CASES] == EXPECTED
    for case, names in CASES.items():
        assert names and set(names) <= written, (case, set(names) - written)
