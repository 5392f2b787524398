using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.ControlPlane.Api.Notices;

/// <summary>A notice in the form of each channel.</summary>
internal static class NoticeText
{
    /// <summary>Slack refuses a block beyond 3,000 characters.</summary>
    private const int BlockMax = 2_800;

    public static string Subject(Notice notice) => Short($"[dsops] {(notice.Update ? "update: " : "")}{notice.Title}", 180);

    public static string Plain(Notice notice, string address)
    {
        var text = new StringBuilder();
        foreach (var of in notice.Of.Take(Notice.Named))
        {
            text.AppendLine(of.Title).AppendLine(of.Question).AppendLine($"{address}{of.Page}").AppendLine();
        }

        return text.Append(More(notice, address)).ToString().TrimEnd();
    }

    /// <summary>`text` for whoever knows no blocks, and for the lock screen of a phone.</summary>
    public static string Slack(Notice notice, string address)
    {
        var blocks = new JsonArray(new JsonObject
        {
            ["type"] = "header", ["text"] = new JsonObject { ["type"] = "plain_text", ["text"] = Short(Subject(notice), 150) },
        });
        foreach (var of in notice.Of.Take(Notice.Named))
        {
            string what = $"*{Escaped(of.Title)}*\n{Escaped(of.Question)}\n<{address}{of.Page}|Open its page>";
            blocks.Add(new JsonObject
            {
                ["type"] = "section", ["text"] = new JsonObject { ["type"] = "mrkdwn", ["text"] = Short(what, BlockMax) },
            });
        }

        string text = $"{Subject(notice)} {notice.Of[0].Question} {address}{notice.Of[0].Page}";
        return new JsonObject { ["text"] = Escaped(text), ["blocks"] = blocks }.ToJsonString(JsonSerializerOptions.Web);
    }

    private static string More(Notice notice, string address) => notice.Of.Length <= Notice.Named ? ""
        : $"and {notice.Of.Length - Notice.Named} more: {address}/incidents";

    private static string Escaped(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal);

    private static string Short(string text, int most) => text.Length <= most ? text : string.Concat(text.AsSpan(0, most - 1), "…");
}
