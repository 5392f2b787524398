using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Storage.Audit;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Who did what, and whether that was changed afterwards.</summary>
internal sealed class AuditCalls(AuditLog audit, KnownRuns known)
{
    private const int LinesUsual = 200;

    /// <summary>Of a hash in hexadecimal digits: what a person copies, and still 32 bits.</summary>
    private const int HashShown = 8;

    public async Task<ListAuditReply> ListAudit(ListAuditRequest request, ServerCallContext context)
    {
        string? run = request.Run.Length == 0 ? null : await known.Named(request.Run, "run");
        DateTimeOffset? since = request.Since is null ? null : Checked.Time(request.Since, "since");
        long before = Checked.NotNegative(request.Before, "before");
        int size = Checked.PageSize(request.PageSize, LinesUsual, Checked.PageMost);
        var found = await audit.Newest(run, since, before == 0 ? null : before, size, context.CancellationToken);
        var shown = Bounded.First([.. found.Select(ToProto)]);
        return new ListAuditReply { Lines = { shown }, More = found.Count == size || shown.Count < found.Count };
    }

    public async Task<VerifyAuditReply> VerifyAudit(VerifyAuditRequest request, ServerCallContext context)
    {
        long anchor = Checked.NotNegative(request.Anchor, "anchor");
        if (anchor > 0 && (request.AnchorHash.Length < HashShown || !request.AnchorHash.All(char.IsAsciiHexDigit)))
        {
            throw Checked.Invalid($"anchorHash '{Checked.Shown(request.AnchorHash)}' is not the beginning of a hash; write at least "
                + $"{HashShown} of its hexadecimal digits, as `dsops audit verify` printed them.");
        }

        var verdict = await audit.Verify(anchor == 0 ? null : (anchor, request.AnchorHash), context.CancellationToken);
        return new VerifyAuditReply
        {
            Lines = verdict.Lines, OtherKeys = verdict.OtherKeys, Found = verdict.Found,
            Findings = { verdict.Findings.Select(f => new AuditFinding { Line = f.Line, Words = f.Words }) },
            Newest = verdict.Newest, NewestHash = Convert.ToHexStringLower(verdict.NewestHash),
        };
    }

    private static AuditLine ToProto(AuditEntry entry) => new()
    {
        Number = entry.Number, At = Timestamp.FromDateTimeOffset(entry.Act.At), Who = entry.Act.Who, By = entry.Act.By,
        From = entry.Act.From, Act = entry.Act.Act, Run = entry.Act.Run, Target = entry.Act.Target, Why = entry.Act.Why,
        Outcome = entry.Act.Outcome,
    };
}
