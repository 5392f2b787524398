using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.Audit;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class AuditPageTests : PageTest
{
    [Fact]
    public void Lines_stand_newest_first_with_text_as_text_and_older_ones_follow_on_request()
    {
        Ops.Answer<ListAuditRequest, ListAuditReply>("ListAudit", asked => asked.Before == 0
            ? new ListAuditReply { Lines = { Line(9), Line(8) }, More = true } : new ListAuditReply { Lines = { Line(7) } });
        var page = Render<AuditPage>();
        page.WaitForAssertion(() => Assert.Equal(["9", "8"], page.FindAll("[data-line]").Select(r => r.GetAttribute("data-line"))));
        Assert.Contains("<b>why</b>", page.Find("[data-line]").TextContent, StringComparison.Ordinal);
        Act(page, () => page.FindAll("button").Single(b => b.TextContent.Contains("Older", StringComparison.Ordinal)).Click());
        page.WaitForAssertion(() => Assert.Equal(3, page.FindAll("[data-line]").Count));
        Assert.DoesNotContain(page.FindAll("button"), b => b.TextContent.Contains("Older", StringComparison.Ordinal));
    }

    [Fact]
    public void Of_one_run_its_lines_alone_are_asked_for_and_an_empty_or_unreadable_log_says_so()
    {
        Services.GetRequiredService<NavigationManager>().NavigateTo("/audit?run=mini");
        Ops.Answer<ListAuditRequest, ListAuditReply>("ListAudit", asked =>
            asked.Run == "mini" ? new ListAuditReply() : throw new InvalidOperationException(asked.Run));
        var page = Render<AuditPage>();
        page.WaitForAssertion(() => Assert.Contains("Nothing was done about mini", page.Markup, StringComparison.Ordinal));
        Ops.Refuse("ListAudit", StatusCode.Unavailable, "");
        var away = Render<AuditPage>();
        away.WaitForAssertion(() => Assert.NotEmpty(away.FindAll("[role=alert]")));
    }

    private static AuditLine Line(long number) => new()
    {
        Number = number, At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch), Who = "ann", By = "owner's token", From = "cli",
        Act = "cancel-run", Run = "mini", Target = "mini", Why = "<b>why</b>", Outcome = "done",
    };
}
