using System.Collections.Specialized;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Dashboard.Pages.Try;

/// <summary>All that a person has set on the page, as typed: the address keeps it, the request is made of it.</summary>
/// <param name="Step">Empty: the newest checkpoint that can be used.</param>
/// <param name="Chat">Null: as the stage's kind suggests.</param>
public sealed record Ask(string Run, string Stage, string Step, string Prompt, bool? Chat, string Temperature, string MaxTokens,
    string Seed, bool Speculate)
{
    public const string UsualTemperature = "0";
    public const string UsualMaxTokens = "64";
    public const string UsualSeed = "0";

    /// <summary>Servers and browsers refuse addresses that are much longer.</summary>
    private const int PromptInAddressMax = 4_000;

    /// <summary>A prompt that is too long for the address; it stays on the page alone.</summary>
    public bool PromptIsTooLongForTheAddress => Uri.EscapeDataString(Prompt).Length > PromptInAddressMax;

    public static Ask Read(string query)
    {
        NameValueCollection values = System.Web.HttpUtility.ParseQueryString(query);
        bool? chat = values["chat"] switch { "on" => true, "off" => false, _ => null };
        return new Ask(
            values["run"] ?? "", values["stage"] ?? "", values["step"] ?? "", values["prompt"] ?? "", chat,
            values["temperature"] ?? UsualTemperature,
            values["max"] ?? UsualMaxTokens, values["seed"] ?? UsualSeed, values["speculation"] != "off");
    }

    /// <summary>Only what differs from the usual; null takes a parameter out of the address.</summary>
    public IReadOnlyDictionary<string, object?> Parameters => new Dictionary<string, object?>
    {
        ["run"] = NotEmpty(Run), ["stage"] = NotEmpty(Stage), ["step"] = NotEmpty(Step),
        ["prompt"] = PromptIsTooLongForTheAddress ? null : NotEmpty(Prompt),
        ["chat"] = Chat switch { true => "on", false => "off", null => null },
        ["temperature"] = Unusual(Temperature, UsualTemperature), ["max"] = Unusual(MaxTokens, UsualMaxTokens),
        ["seed"] = Unusual(Seed, UsualSeed),
        ["speculation"] = Speculate ? null : "off",
    };

    /// <summary>What has to be mended before it can be asked; null: nothing.</summary>
    public string? Problem =>
        Prompt.Length == 0 ? "Write a prompt first."
        : !double.TryParse(Temperature, NumberStyles.Float, CultureInfo.InvariantCulture, out double t) || t is not (>= 0 and <= 100)
            ? $"Temperature '{Temperature}' is not valid: write a number from 0 (greedy) to 100."
        : !int.TryParse(MaxTokens, NumberStyles.None, CultureInfo.InvariantCulture, out int n) || n is < 1 or > 8192
            ? $"Most tokens '{MaxTokens}' is not valid: write a whole number from 1 to 8192."
        : !long.TryParse(Seed, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _)
            ? $"Seed '{Seed}' is not valid: write a whole number."
        : null;

    /// <summary>Of an ask without a problem.</summary>
    public GenerateRequest ToRequest(string run, string stage, bool chat)
    {
        var request = new GenerateRequest
        {
            Run = run, Stage = stage, Prompt = Prompt, Chat = chat, Temperature = double.Parse(Temperature, CultureInfo.InvariantCulture),
            MaxTokens = int.Parse(MaxTokens, CultureInfo.InvariantCulture), Seed = long.Parse(Seed, CultureInfo.InvariantCulture),
            NoSpeculation = !Speculate,
        };
        if (long.TryParse(Step, NumberStyles.None, CultureInfo.InvariantCulture, out long step))
        {
            request.Step = step;
        }

        return request;
    }

    private static string? NotEmpty(string text) => text.Length > 0 ? text : null;

    private static string? Unusual(string text, string usual) => text == usual ? null : text;
}
