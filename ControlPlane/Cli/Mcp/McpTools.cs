using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli.Asking;
using DeepSeekOps.ControlPlane.Cli.Questions;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace DeepSeekOps.ControlPlane.Cli.Mcp;

/// <summary>
/// A tool for each group of questions. One for each question would fill an assistant's list of tools, which it reads with every turn; one
/// for all would leave it to guess what can be asked.
/// </summary>
internal sealed class McpTools(ParseResult parsed)
{
    /// <summary>Of a name or a time in a call.</summary>
    private const int ArgumentMost = 200;

    /// <summary>Of all tools: a run that a tool does not need does no harm.</summary>
    private static readonly string[] Taken = ["question", "run", "since", "stage", "incident"];

    public static readonly ImmutableArray<Tool> All = [.. QuestionBook.Groups.Select(ToolOf)];

    public async ValueTask<CallToolResult> Call(CallToolRequestParams? call, CancellationToken cancellation)
    {
        string name = Answer.Plain(call?.Name ?? "");
        if (QuestionBook.Groups.FirstOrDefault(group => group.Name == name) is not { } group)
        {
            string there = string.Join(", ", QuestionBook.Groups.Select(g => g.Name));
            throw new McpProtocolException($"There is no tool '{name}'. There are {there}.",
                McpErrorCode.InvalidParams);
        }

        try
        {
            var (question, about) = Read(group, call?.Arguments);
            return await McpVerb.Asking(parsed, async connection =>
            {
                string site = AskVerb.SiteOf(parsed);
                var (answer, asked) = await new Reception(connection.Client, site, cancellation).Answer(question, about);
                return Told(question, asked, answer, site);
            }, refused => Refused(question, refused), cancellation);
        }
        catch (RefusalException e)
        {
            return Failed(e);
        }
    }

    private static Tool ToolOf(QuestionGroup group) => new()
    {
        Name = group.Name, Title = group.Title,
        Description = $"{group.Purpose} Questions: {string.Join(" ", group.Questions.Select(q => $"{q.Id}: {q.Text}"))}",
        InputSchema = Schema(group),
        Annotations = new ToolAnnotations { ReadOnlyHint = true, DestructiveHint = false, IdempotentHint = true, OpenWorldHint = false },
    };

    private static JsonElement Schema(QuestionGroup group)
    {
        var properties = new JsonObject
        {
            ["question"] = new JsonObject
            {
                ["type"] = "string", ["enum"] = new JsonArray([.. group.Questions.Select(q => (JsonNode)q.Id)]),
                ["description"] = "Which of its questions.",
            },
        };
        if (group.Questions.Any(q => q.About != About.All))
        {
            properties["run"] = Text(group.NeedsRun ? "Name of the run; may be left out where only one goes on."
                : "Name of the run. Left out: all runs, or the only one.");
        }

        if (group.Questions.Any(q => q.About == About.AnyRun))
        {
            properties["since"] = Text("Of what is asked about a time: so long until now, such as 24h, 90m or 7d. Default: 24h.");
        }

        if (group.Questions.Any(q => q.Needs.HasFlag(Need.Incident)))
        {
            properties["stage"] = Text("Stage of the incident.");
            properties["incident"] = new JsonObject
            {
                ["type"] = "integer", ["minimum"] = 1, ["description"] = "Its number within the stage. Default: the newest.",
            };
        }

        return JsonSerializer.SerializeToElement(new JsonObject
        {
            ["type"] = "object", ["properties"] = properties, ["required"] = new JsonArray("question"), ["additionalProperties"] = false,
        });

        static JsonObject Text(string description) => new()
        {
            ["type"] = "string", ["maxLength"] = ArgumentMost, ["description"] = description,
        };
    }

    private static (Question Question, Subject About) Read(QuestionGroup group, IDictionary<string, JsonElement>? arguments)
    {
        if (arguments?.Keys.FirstOrDefault(name => !Taken.Contains(name)) is { } unknown)
        {
            // Of "runn" nothing would be left but a question about all runs, and an answer to that.
            throw new RefusalException($"{group.Name} takes no '{unknown}'.", $"It takes {string.Join(", ", Taken)}.");
        }

        string id = TextOf("question");
        var question = group.Questions.FirstOrDefault(q => q.Id == id)
            ?? throw new RefusalException($"'{id}' is no question of {group.Name}.",
            $"{group.Name} answers {string.Join(", ", group.Questions.Select(q => q.Id))}.");
        string since = TextOf("since");
        var span = since.Length == 0 ? Subject.UsualSince : IncidentsVerb.ReadSpan(since)
            ?? throw new RefusalException($"'{since}' is not a time.",
                "Write a whole number with s, m, h or d, such as 24h.");
        return (question, new Subject(TextOf("run"), TextOf("stage"), NumberOf("incident")) { Since = span });

        JsonElement? Given(string name) => arguments is not null && arguments.TryGetValue(name, out var value)
            && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;

        string TextOf(string name) => Given(name) is not { } value ? ""
            : value.ValueKind == JsonValueKind.String && value.GetString() is { Length: <= ArgumentMost } text ? Answer.Plain(text)
            : throw new RefusalException($"{name} is no text of at most {ArgumentMost} characters.", "Write it as a string.");

        int NumberOf(string name) => Given(name) is not { } value ? 0
            : WholeOf(value) is { } number ? number
            : throw new RefusalException($"{name} is not a whole number from 1.", "Write it as the list of incidents has it.");
    }

    /// <summary>JSON has one kind of number: 1.0 and 1e0 are whole, as its schemas have it too.</summary>
    private static int? WholeOf(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal number) && number is >= 1 and <= int.MaxValue
            && decimal.IsInteger(number) ? (int)number : null;

    private static CallToolResult Told(Question question, Subject about, Answer answer, string site)
    {
        using var document = JsonDocument.Parse(ProtoJson.Document(json => AnswerText.Write(json, question, about, answer, site)));
        return new CallToolResult
        {
            Content = [new TextContentBlock { Text = AnswerText.ForAssistants(answer, site) }],
            StructuredContent = document.RootElement.Clone(),
        };
    }

    /// <summary>Whether the control plane is well is a question that its silence answers.</summary>
    private static CallToolResult Refused(Question question, RefusalException refused) =>
        question.Needs == Need.Health && refused.Code == ExitCode.NotReachable
            ? Told(question, new Subject(""), Answer.Of($"No: {refused.Message} {refused.Fix}").See("/", "dsops doctor"), "")
            : Failed(refused);

    private static CallToolResult Failed(RefusalException refused) => new()
    {
        IsError = true, Content = [new TextContentBlock { Text = Answer.Plain($"{refused.Message} {refused.Fix}") }],
    };
}
