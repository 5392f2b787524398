using System.Text.Json;

namespace DeepSeekOps.Recipes.Weights;

/// <summary>
/// The fields of a config.json that have been looked at. One that is not among them, and not switched off, may change the numbers:
/// attention logits that are capped, multipliers of embeddings or residuals, another layout of layers. It is refused by its name.
/// </summary>
internal static class KnownFields
{
    /// <summary>Read, or compared with the one value that is done here (<see cref="ConfigFields"/>, <see cref="Quantization"/>).</summary>
    private static readonly HashSet<string> Read = Set("""
        model_type vocab_size hidden_size num_hidden_layers first_k_dense_replace intermediate_size moe_intermediate_size num_attention_heads
        num_key_value_heads q_lora_rank kv_lora_rank qk_nope_head_dim qk_rope_head_dim qk_head_dim head_dim v_head_dim n_routed_experts
        num_local_experts n_shared_experts num_experts_per_tok n_group topk_group topk_method scoring_func norm_topk_prob routed_scaling_factor
        moe_layer_freq num_nextn_predict_layers rms_norm_eps initializer_range hidden_act max_position_embeddings rope_theta rope_interleave
        rope_scaling rope_parameters attention_bias attention_dropout mlp_bias tie_word_embeddings quantization_config compression_config
        index_topk index_n_heads index_head_dim
        """);

    /// <summary>
    /// Of DeepSeek's published files and of transformers' PretrainedConfig: who made the file, how it is loaded, spread over machines and
    /// generated with, heads for other tasks, and losses that its training had and ours sets by the pipeline.
    /// </summary>
    private static readonly HashSet<string> Idle = Set("""
        architectures auto_map transformers_version name_or_path torch_dtype dtype torchscript use_cache use_bfloat16 pretraining_tp ep_size
        seq_aux aux_loss_alpha router_aux_loss_coef output_router_logits output_attentions output_hidden_states return_dict attn_implementation
        bos_token_id eos_token_id pad_token_id sep_token_id unk_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id
        tokenizer_class model_max_length prefix finetuning_task id2label label2id num_labels problem_type task_specific_params
        classifier_dropout pruned_heads chunk_size_feed_forward keys_to_ignore_at_inference base_model_tp_plan base_model_pp_plan tf_legacy_loss
        max_length max_new_tokens min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p typical_p
        repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores
        return_dict_in_generate remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
        unsloth_fixed unsloth_version
        """);

    /// <summary>Parts of a layer that leave out numbers while they train; at 0 they leave out none.</summary>
    private static readonly HashSet<string> IdleAtZero =
        Set("hidden_dropout hidden_dropout_prob embd_pdrop resid_pdrop attn_pdrop ffn_dropout dropout");

    private static readonly HashSet<string> OfRope = Set("""
        rope_theta rope_type type factor original_max_position_embeddings beta_fast beta_slow mscale mscale_all_dim attention_factor truncate
        partial_rotary_factor finetuned
        """);

    /// <exception cref="FormatException">A field that is not known and not switched off.</exception>
    public static void Require(JsonElement config, JsonElement? rope)
    {
        foreach (var field in config.EnumerateObject())
        {
            // What begins with _ is transformers' own bookkeeping, which it writes and does not compute with.
            var known = Read.Contains(field.Name) || Idle.Contains(field.Name) || field.Name.StartsWith('_')
                || (IdleAtZero.Contains(field.Name) && field.Value.ValueKind == JsonValueKind.Number && field.Value.GetDouble() == 0);
            Require(known || IsOff(field.Value), field.Name, field.Value);
        }

        foreach (var field in rope?.EnumerateObject().ToArray() ?? [])
        {
            Require(OfRope.Contains(field.Name) || IsOff(field.Value), $"rope_scaling.{field.Name}", field.Value);
        }
    }

    private static void Require(bool holds, string name, JsonElement value) => JsonText.Require(holds,
        $"{JsonText.Short(name)} is {JsonText.Short(value.GetRawText())}, and what it would change is not known: leave it out if the "
            + "model was trained without it");

    private static bool IsOff(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.String => value.GetString() == "",
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };

    private static HashSet<string> Set(string names) => [.. names.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)];
}
