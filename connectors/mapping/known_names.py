"""How logs call what a call's columns hold: the likeliest name first, and of a name that could be two columns the first column listed gets it.

Owns: the names. Does not own: whether a field's values fit (draft.py).
"""

from __future__ import annotations

from typing import Final

COLUMNS: Final[dict[str, list[str]]] = {
    column: names.split()
    for column, names in {
        "source_record_id": """request_id call_id log_id event_id record_id message_id generation_id completion_id invocation_id uuid guid id call
            req_id rid x_request_id correlation_id trace_id""",
        "start_time": """start_time started_at start request_time requested_at request_timestamp timestamp event_time time ts datetime date_time
            created_at created date when logged_at log_time at""",
        "end_time": "end_time ended_at end completed_at finished_at response_time response_timestamp",
        "ttft_ms": "ttft time_to_first_token first_token_latency first_token",
        "duration_ms": """duration latency latency_total total_latency response_latency elapsed elapsed_time total_time response_time took
            request_duration processing_time ms""",
        "requested_model": "requested_model request_model model model_name model_id llm llm_model engine deployment model_used",
        "response_model": "response_model served_model actual_model model_served routed_model",
        "provider_raw": "provider vendor llm_provider model_provider provider_name llm_vendor custom_llm_provider",
        "cache_read_tokens": """cache_read_tokens cache_read_input_tokens cached_tokens cached_input_tokens cached_prompt_tokens tok_cached tokens_cached
            cached_content_token_count cache_read prompt_tokens_cached""",
        "cache_write_tokens": "cache_write_tokens cache_creation_input_tokens cache_creation_tokens cache_write tokens_cache_write",
        "reasoning_tokens": "reasoning_tokens thinking_tokens thoughts_token_count reasoning thought_tokens",
        "input_tokens": """input_tokens prompt_tokens tokens_in tok_in in_tokens input_token_count prompt_token_count tokens_input tokens_prompt
            num_prompt_tokens n_prompt_tokens usage_input usage_prompt prompt_tok input_tok request_tokens""",
        "output_tokens": """output_tokens completion_tokens tokens_out tok_out out_tokens output_token_count candidates_token_count completion_token_count
            tokens_output tokens_completion num_completion_tokens n_completion_tokens usage_output usage_completion completion_tok output_tok
            response_tokens generated_tokens""",
        "total_tokens_reported": "total_tokens tokens_total total_token_count token_count tokens usage_total",
        "cost_amount": """cost total_cost cost_amount response_cost request_cost spend price amount micro_usd cost_micro nano_usd usd usd_cents cost_total
            charge""",
        "http_status": "http_status status_code http_status_code response_status response_code http_code status code",
        "status": "status result outcome state",
        "error_code": "error_code err_code",
        "error_type": "error_type exception error_class",
        "error_message": "error_message error err error_msg failure_reason",
        "workflow_id": "workflow_id workflow use_case usecase workflow_name flow",
        "app": "app application service service_name app_name app_id application_name client_app component",
        "environment": "environment env stage deployment_environment",
        "team_id": "team_id team team_name department squad business_unit cost_center costcenter",
        "project_id": "project_id project project_name",
        "api_key_alias": "api_key_alias key_alias key_name api_key_name",
        "end_user_id": "end_user_id end_user user_id user",
        "session_id": "session_id session conversation_id thread_id chat_id",
        "trace_id_raw": "trace_id",
        "span_id": "span_id",
        "provider_response_id": "provider_response_id response_id upstream_id openai_id",
        "region": "region aws_region location",
        "service_tier": "service_tier tier",
        "stream": "stream streaming is_stream streamed",
        "retry_count": "retry_count retries",
        "data_class": "data_class data_classification classification sensitivity",
    }.items()
}
OPTIONS: Final[dict[str, list[str]]] = {
    option: names.split()
    for option, names in {
        "metadata": "metadata labels attributes properties extra custom custom_properties context meta user_metadata dimensions",
        "tags": "tags request_tags",
        "messages": "messages",
        "prompt": "prompt input question query request_body",
        "text": "completion output answer response response_text",
        "currency": "currency cost_currency cur",
    }.items()
}
